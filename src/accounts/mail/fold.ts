// What a mail repeats: quotes, signatures, legal notices. Folded away, each leaves a line that says how much it was.

const MAX_LINE = 500;

/** "On 3 May 2024, Ann wrote:" in the languages of our people; it may run over three lines. */
const WROTE: readonly RegExp[] = [
  /^On\b.{4,300}\bwrote:$/i,
  /^Am\b.{4,300}\bschrieb\b.{0,200}:$/i,
  /^Le\b.{4,300}\ba écrit\s*:$/i,
  /^El\b.{4,300}\bescribió\s*:$/i,
  /^Il\b.{4,300}\bha scritto\s*:$/i,
  /^Op\b.{4,300}\bschreef\b.{0,200}:$/i,
  /^Em\b.{4,300}\bescreveu\s*:$/i,
  /^(?:Den|På)\b.{4,300}\b(?:skrev|skrev följande)\b.{0,200}:$/i,
  /^(?:W dniu|Dnia)\b.{4,300}\b(?:napisał|pisze)\S{0,10}\s*:$/i,
];

/** The same without a word at its beginning: only in one line, or any line before it would seem to begin it. */
const WROTE_IN_ONE: readonly RegExp[] = [
  /^.{3,200}(?:@|＠).{2,100}\b(?:wrote|schrieb|a écrit|escribió|ha scritto|schreef|escreveu|skrev)\s*:$/i,
  /^\d{4}[-/年].{4,200}(?:wrote|写道|のメール|作成)\s*[:：]?$/i,
];

const ORIGINAL =
  /^[-_\s]{2,}(?:Original Message|Original Appointment|Ursprüngliche Nachricht|Originalnachricht|Message d['’]origine|Message original|Mensaje original|Messaggio originale|Oorspronkelijk bericht|Mensagem original)[-_\s]{2,}$/i;
const FORWARDED =
  /^[-\s>]*(?:Forwarded message|Begin forwarded message|Weitergeleitete Nachricht|Anfang der weitergeleiteten (?:E-Mail|Nachricht)|Message transféré|Début du message (?:transféré|réexpédié)|Mensaje reenviado|Inicio del mensaje reenviado|Messaggio inoltrato)\s*:?[-\s]*$/i;

const FROM = /^[*_]?(?:From|Von|De|Da|Van|Från|Od)\s?[*_]?\s?:[*_]?\s*\S/i;
const OTHER =
  /^[*_]?(?:Sent|Gesendet|Envoyé|Enviado(?: el)?|Inviato|Verzonden|Date|Datum|Fecha|Data|To|An|À|A|Para|Aan|Subject|Betreff|Objet|Asunto|Oggetto|Onderwerp|Cc|Kopie)\s?[*_]?\s?:/i;

const MOBILE =
  /^(?:Sent from (?:my|Mail|Outlook|Yahoo)\b.{0,80}|Get Outlook for \w+.{0,80}|Von meinem .{1,40} gesendet.{0,5}|Gesendet (?:von|mit) .{1,60}|Envoyé (?:de|depuis) mon .{1,60}|Envoyé (?:depuis|à partir de) (?:Outlook|Yahoo|l'application).{0,60}|Enviado desde mi .{1,60}|Enviado desde (?:Outlook|Yahoo).{0,60}|Inviato da(?:l mio)? .{1,40})$/i;

const LEGAL =
  /(?:this (?:e-?mail|message|communication)\b.{0,120}\b(?:confidential|privileged|intended (?:only|solely|for))|confidentiality notice|if you (?:are not|have received).{0,60}(?:intended recipient|in error)|think before you print|consider the environment|diese (?:e-?mail|nachricht)\b.{0,120}\b(?:vertraulich|ausschließlich)|wenn sie nicht der (?:richtige|beabsichtigte)|irrtümlich erhalten|bitte (?:denken|prüfen) sie .{0,60}(?:umwelt|ausdrucken)|ce (?:message|courriel|courrier|mail)\b.{0,120}\b(?:confidentiel|exclusif|destin)|si vous n['’]êtes pas .{0,30}destinataire|si vous avez reçu .{0,30} par erreur|pensez à l['’]environnement|este (?:mensaje|correo)\b.{0,120}\b(?:confidencial|exclusiv|dirigid)|si (?:usted )?no es .{0,30}destinatario|ha recibido este .{0,30} por error|medio ambiente.{0,40}imprim)/i;

const MAX_SIGNATURE = 25;
/** A quote between answers that is at most this long stays: without it, the answer means nothing. */
const MAX_INTERLEAVED = 6;

const blank = (line: string | undefined): boolean => line === undefined || line.trim() === '';
const quoted = (line: string | undefined): boolean => line !== undefined && /^\s{0,3}>/.test(line);

/** How many lines at `at` announce a quote; 0 if they do not. */
function announces(lines: readonly string[], at: number): number {
  const first = (lines[at] ?? '').trim();
  if (first.length > MAX_LINE || first.length < 5) return 0;
  if (ORIGINAL.test(first)) return 1;
  if (headerBlock(lines, at)) return 1;
  if (saysWrote(first) || WROTE_IN_ONE.some((form) => form.test(first))) return 1;
  let text = first;
  for (let more = 1; more < 3; more++) {
    const next = (lines[at + more] ?? '').trim();
    // What begins with the next line does not begin here.
    if (next === '' || quoted(next) || saysWrote(next)) return 0;
    text += ` ${next}`;
    if (saysWrote(text)) return more + 1;
  }
  return 0;
}

const saysWrote = (text: string): boolean => text.length <= MAX_LINE && WROTE.some((form) => form.test(text));

/** Outlook's "From: … Sent: … To: … Subject: …", with or without a line of underscores before it. */
function headerBlock(lines: readonly string[], at: number): boolean {
  const from = /^_{10,}$|^-{10,}$/.test((lines[at] ?? '').trim()) ? at + 1 : at;
  const start = blank(lines[from]) ? from + 1 : from;
  if (!FROM.test((lines[start] ?? '').trim().slice(0, MAX_LINE))) return false;
  return lines.slice(start + 1, start + 7).filter((line) => OTHER.test(line.trim().slice(0, 60))).length >= 2;
}

interface Piece {
  kind: 'text' | 'quote' | 'signature' | 'notice';
  lines: string[];
}

const NAMES: Readonly<Record<Exclude<Piece['kind'], 'text'>, string>> = {
  quote: 'quoted',
  signature: 'signature',
  notice: 'legal notice',
};

/** Where the quote begins that runs to the end of the text; the number of lines if there is none. */
function trailingQuote(lines: readonly string[], forwards: boolean): number {
  const firstSaid = lines.findIndex((line) => !blank(line));
  const lastAnswer = lines.findLastIndex((line) => !blank(line) && !quoted(line));
  for (let at = 0; at < lines.length; at++) {
    // What is forwarded is what the mail is about.
    if (FORWARDED.test((lines[at] ?? '').slice(0, MAX_LINE))) return lines.length;
    const announced = announces(lines, at);
    if (announced === 0) continue;
    if (at <= firstSaid) return lines.length;
    if (forwards && headerBlock(lines, at)) return lines.length;
    let next = at + announced;
    while (next < lines.length && blank(lines[next])) next++;
    // A quote with marks may be answered below or between.
    if (quoted(lines[next]) && lastAnswer > next) continue;
    return at;
  }
  return lines.length;
}

/** Runs of marked lines, with the line that announces them. */
function marked(lines: readonly string[]): Piece[] {
  const pieces: Piece[] = [];
  const add = (kind: Piece['kind'], line: string): void => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.lines.push(line);
    else pieces.push({ kind, lines: [line] });
  };
  lines.forEach((line, at) => {
    const within = blank(line) && quoted(lines[at - 1]) && quoted(lines[at + 1]);
    add(quoted(line) || within ? 'quote' : 'text', line);
  });
  const said = (piece: Piece): boolean => piece.kind === 'text' && piece.lines.some((line) => !blank(line));
  return pieces.map((piece, at) => {
    if (piece.kind === 'text') return piece;
    const next = pieces[at + 1];
    return next !== undefined && said(next) && piece.lines.length <= MAX_INTERLEAVED
      ? { ...piece, kind: 'text' as const }
      : piece;
  });
}

/** Splits the end off a text: its signature and what lawyers add. */
function ending(lines: readonly string[]): { body: readonly string[]; ends: Piece[] } {
  const ends: Piece[] = [];
  let body = lines;
  const mark = body.findLastIndex((line) => /^(?:-- ?|—|__)$/.test(line));
  if (mark > 0 && body.length - mark <= MAX_SIGNATURE + 1 && body.slice(0, mark).some((line) => !blank(line))) {
    ends.unshift({ kind: 'signature', lines: body.slice(mark) });
    body = body.slice(0, mark);
  }
  for (let turn = 0; turn < 4; turn++) {
    const last = body.findLastIndex((line) => !blank(line));
    let start = last;
    while (start > 0 && !blank(body[start - 1])) start--;
    if (start <= 0) break;
    const paragraph = body.slice(start, last + 1);
    if (paragraph.length === 1 && MOBILE.test((paragraph[0] ?? '').trim().slice(0, MAX_LINE)))
      ends.unshift({ kind: 'signature', lines: [...paragraph] });
    else if (paragraph.length <= 40 && LEGAL.test(paragraph.join(' ').slice(0, 5000)))
      ends.unshift({ kind: 'notice', lines: [...paragraph] });
    else break;
    body = body.slice(0, start);
  }
  return { body, ends };
}

/** A text with what it repeats folded. `forwards`: the mail passes on another one, which is then no mere quote. */
export function fold(text: string, forwards = false): { text: string; foldedLines: number } {
  const lines = text.split('\n');
  const cut = trailingQuote(lines, forwards);
  const own = ending(lines.slice(0, cut));
  const pieces: Piece[] = [
    ...(forwards ? [{ kind: 'text' as const, lines: [...own.body] }] : marked(own.body)),
    ...own.ends,
  ];
  if (cut < lines.length) pieces.push({ kind: 'quote', lines: lines.slice(cut) });
  const said = pieces.some((piece) => piece.kind === 'text' && piece.lines.some((line) => !blank(line)));
  // A mail that says nothing of its own is its quote.
  if (!said) return { text, foldedLines: 0 };
  let foldedLines = 0;
  const out = pieces.flatMap(({ kind, lines }) => {
    if (kind === 'text') return lines;
    const count = lines.filter((line) => !blank(line)).length;
    if (count === 0) return [];
    foldedLines += count;
    return [`[${NAMES[kind]}: ${count} ${count === 1 ? 'line' : 'lines'} folded]`];
  });
  return {
    text: out
      .join('\n')
      .replace(/\n{3,}/g, '\n\n')
      .trim(),
    foldedLines,
  };
}
