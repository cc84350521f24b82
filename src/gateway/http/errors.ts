import { unknownText } from '../../core/text/unknown.ts';
/** What went wrong with a request, in the form every answer of the gateway has: OpenAI's error object. */
export class HttpError extends Error {
  readonly status: number;
  readonly code: string;
  readonly param: string | null;
  readonly headers: Readonly<Record<string, string>>;
  constructor(
    status: number,
    code: string,
    message: string,
    options: { param?: string; headers?: Record<string, string> } = {},
  ) {
    super(message);
    this.name = 'HttpError';
    this.status = status;
    this.code = code;
    this.param = options.param ?? null;
    this.headers = options.headers ?? {};
  }
}

const TYPES: Record<number, string> = {
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  422: 'server_error',
  429: 'rate_limit_error',
};

export const errorBody = (error: HttpError): { error: object } => ({
  error: {
    message: error.message,
    type: TYPES[error.status] ?? (error.status >= 500 ? 'server_error' : 'invalid_request_error'),
    param: error.param,
    code: error.code,
  },
});

/** The request is at fault; `param` is the dotted path of the field. */
export const badRequest = (message: string, param?: string): HttpError =>
  new HttpError(400, 'invalid_request', message, { param });

/** A name or an id of a path that does not exist. The command lists what does. */
export const unknownId = (kind: string, id: string): HttpError =>
  new HttpError(404, `unknown_${kind}`, unknownText(kind, id, { list: `ruche ${kind}s` }));

/** The process is going down. `rejoins`: sending the same request again finds the same work. */
export const shuttingDown = (message: string, rejoins: boolean): HttpError =>
  new HttpError(503, 'shutting_down', message, {
    headers: { 'retry-after': '1', 'x-should-retry': String(rejoins) },
  });
