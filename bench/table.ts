/** One measured thing. */
export interface Row {
  what: string;
  unit: string;
  value: number;
  /** The same of the floor, in the same run. */
  floor?: number;
  aim?: number;
  /** What OpenClaw 2026.9.6 was measured at on the same kind of machine, in the same unit. */
  openclaw?: number;
  /** True where a greater value is better. */
  more?: boolean;
  note?: string;
}

const number = (value: number | undefined): string => {
  if (value === undefined) return '';
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits).replace(/\B(?=(\d{3})+$)/g, ' ');
};

function verdict({ value, aim, more }: Row): string {
  if (aim === undefined) return '';
  return (more ? value >= aim : value <= aim) ? 'met' : 'missed';
}

/** The table as Markdown, so that it can be kept as it is. */
export function tableText(rows: readonly Row[]): string {
  const head = ['', 'Ruche', 'floor', 'ratio', 'aim', '', 'OpenClaw', 'unit', ''];
  const body = rows.map((row) => {
    const ratio = row.floor === undefined ? '' : `${number(row.value / row.floor)}×`;
    const { what, unit, note = '' } = row;
    const numbers = [number(row.value), number(row.floor), ratio, number(row.aim), verdict(row), number(row.openclaw)];
    return [what, ...numbers, unit, note];
  });
  const widths = head.map((name, at) => Math.max(name.length, 3, ...body.map((cells) => cells[at]?.length ?? 0)));
  const line = (cells: readonly string[]): string => {
    const padded = cells.map((cell, at) => {
      const width = widths[at] ?? 0;
      return at >= 1 && at <= 6 ? cell.padStart(width) : cell.padEnd(width);
    });
    return `| ${padded.join(' | ')} |`;
  };
  const rule = widths.map((width, at) => (at >= 1 && at <= 6 ? `${'-'.repeat(width - 1)}:` : '-'.repeat(width)));
  return [line(head), line(rule), ...body.map(line)].join('\n');
}
