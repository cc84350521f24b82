/** What the Bot API documents, as far as this fake goes. */
export interface ApiUser {
  id: number;
  is_bot: boolean;
  first_name: string;
  username?: string;
}

export interface ApiChat {
  id: number;
  type: 'private' | 'group' | 'supergroup';
  title?: string;
  first_name?: string;
  is_forum?: true;
}

export interface ApiEntity {
  type: string;
  offset: number;
  length: number;
  url?: string;
  language?: string;
  user?: ApiUser;
}

export interface ApiKey {
  text: string;
  callback_data: string;
}

export interface ApiMessage {
  message_id: number;
  date: number;
  chat: ApiChat;
  from: ApiUser;
  text?: string;
  caption?: string;
  entities?: ApiEntity[];
  caption_entities?: ApiEntity[];
  reply_to_message?: ApiMessage;
  reply_markup?: { inline_keyboard: ApiKey[][] };
  message_thread_id?: number;
  is_topic_message?: true;
  edit_date?: number;
  [more: string]: unknown;
}

export interface ApiUpdate {
  update_id: number;
  message?: ApiMessage;
  edited_message?: ApiMessage;
  callback_query?: { id: string; from: ApiUser; chat_instance: string; message: ApiMessage; data: string };
}

export interface Upload {
  name: string;
  bytes: Uint8Array;
}

export type Params = Readonly<Record<string, unknown>>;

/** An error in the documented form. */
export class ApiError extends Error {
  readonly code: number;
  readonly parameters: { retry_after?: number; migrate_to_chat_id?: number } | undefined;
  constructor(code: number, description: string, parameters?: ApiError['parameters']) {
    super(description);
    this.name = 'ApiError';
    this.code = code;
    this.parameters = parameters;
  }
}

export const bad = (what: string): ApiError => new ApiError(400, `Bad Request: ${what}`);
