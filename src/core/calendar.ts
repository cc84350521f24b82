// What a calendar is to everybody who reads one: the same words for a server's calendar and for an `.ics` file.

/** A day, a time by any clock (floating), or a time by the clock of one zone. */
export interface When {
  /** What the clock shows, in milliseconds as if it stood in UTC; midnight for a day. */
  wall: number;
  /** As it is written, such as `Europe/Paris` or `W. Europe Standard Time`; null for a day and for a floating time. */
  zone: string | null;
  allDay: boolean;
}

export interface Attendee {
  name: string;
  /** An e-mail address in lower case where it is one, else the URI as it stands. */
  address: string;
  answer: 'needs-action' | 'accepted' | 'declined' | 'tentative' | 'delegated';
  role: 'chair' | 'required' | 'optional' | 'informed';
  kind: 'person' | 'group' | 'room' | 'resource';
  /** The organiser asks for an answer. */
  rsvp: boolean;
}

export interface Alarm {
  action: string;
  /** Milliseconds from the start or the end (negative: before), or the instant itself. */
  trigger: { from: 'start' | 'end'; offset: number } | { at: number };
  text: string;
}

/** One VEVENT: an event, the master of a series, or what differs in one occurrence of it. */
export interface CalendarEvent {
  uid: string;
  /** Which occurrence of the series this replaces; null for an event or the master of a series. */
  recurrenceId: When | null;
  /** It replaces the following occurrences too. */
  andFollowing: boolean;
  start: When;
  /** Exclusive: a day is over at the midnight after it. */
  length: Length;
  summary: string;
  description: string;
  location: string;
  url: string;
  status: 'confirmed' | 'tentative' | 'cancelled';
  /** False for what does not take the person's time (TRANSP:TRANSPARENT). */
  busy: boolean;
  visibility: 'public' | 'private' | 'confidential';
  organizer: Attendee | null;
  attendees: Attendee[];
  alarms: Alarm[];
  categories: string[];
  sequence: number;
  /** RRULE as it is written; null if it does not recur by a rule. */
  rule: string | null;
  /** RDATE: more occurrences. */
  more: { start: When; length: Length | null }[];
  /** EXDATE: occurrences that are left out. */
  except: When[];
  modified: number | null;
}

/** How long something takes: until a time, or so many days by the clock and then so many milliseconds. */
export type Length = { end: When } | { days: number; ms: number };

export interface Calendar {
  /** Of iTIP, such as `REQUEST`, `REPLY` or `CANCEL`; null for a calendar that is no message. */
  method: string | null;
  name: string | null;
  events: CalendarEvent[];
  /** What could not be read, as sentences. */
  untold: string[];
}

/** One time at which an event takes place. */
export interface Occurrence {
  uid: string;
  /** Which occurrence of the series, by its original start (`20261130`, `20261130T080000Z`); null if it is no series. */
  id: string | null;
  /** What holds for this occurrence. */
  event: CalendarEvent;
  /** Instants. A day and a floating time are those of the zone that was asked for. */
  start: number;
  end: number;
  allDay: boolean;
  /** The days it touches, as `2026-11-30`; the last one inclusive. By the zone that was asked for, and never shifted for a day. */
  firstDay: string;
  lastDay: string;
}

/** From one instant up to, and without, another. */
export interface Span {
  from: number;
  to: number;
}
