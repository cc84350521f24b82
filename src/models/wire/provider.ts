import type { ProviderKind } from '../../core/agent.ts';
import type { ModelPort, Tier } from '../../core/model.ts';
import type { Net } from '../../core/ports/net.ts';
import type { Secrets } from '../../core/ports/secrets.ts';
import type { HttpModelOptions } from './exchange.ts';

export type Env = Readonly<Record<string, string | undefined>>;
export type TierModels = Readonly<Record<Tier, readonly string[]>>;

/** A kind of provider as `app/` lists it. Where nothing is configured, the first that the environment offers is used. */
export interface Provider extends ProviderKind {
  /** A company whose models are used by a key alone. `keys`: variables that hold it; `models`: the usual ones. */
  readonly maker?: { readonly keys: readonly string[]; readonly models: TierModels };
  /** A server that says itself which models it has. */
  readonly server?: ServerKind;
  /** Servers of many makers, some of which say what their models hold. */
  readonly telling?: (parts: { net: Net; secrets: Secrets }) => Telling;
  /** Costs nothing, whatever its models are called. */
  readonly free?: boolean;
  /** What the environment says of it. A maker is offered by its key and `<TYPE>_BASE_URL` unless this says otherwise. */
  inEnvironment?(env: Env): Offer | null;
  /** `server`: of its own kind; null where it has none. */
  open(options: HttpModelOptions, server: ModelServer | null): ModelPort;
}

/** A provider that the environment stands for. */
export interface Offer {
  /** How it is spoken to, if that is another's protocol. */
  type?: string;
  baseUrl: string | null;
  apiKey: string | null;
  /** Null: it can be named, but is not chosen by itself. */
  models: TierModels | null;
  /** The owner named the model, so it comes before what may be there for another program. */
  named?: boolean;
}

/** What is known of servers of one kind before one is found. */
export interface ServerKind {
  /** Its name for people. */
  readonly title: string;
  /** Commands that people type: one that starts it, and one that gets it a model. */
  readonly commands: { readonly start: string; get(model: string): string };
  /** A model that can use tools, to begin with. */
  readonly suggested: string;
  /** Where one is if there is one. Throws what is wrong with what the environment says. */
  near(env: Env): string;
  /** The base URL that a person's words mean; null if they mean none. */
  urlOf(written: string): string | null;
  /** A model's name with all that may be left out. */
  fullName(model: string): string;
  open(parts: { net: Net; secrets: Secrets; env: Env }): ModelServer;
}

/** What a server says of one of its models. */
export interface ServerModel {
  name: string;
  /** Tokens it is asked to hold. */
  window: number;
  images: boolean;
  tools: boolean;
  thinking: boolean;
}

/** What a server says of one of its models; null for what it does not say. */
export interface ToldModel {
  /** Tokens a request may have. */
  window: number | null;
  images: boolean | null;
}

/** What servers say of their models, asked where they are. */
export interface Telling {
  /** What is known by now. */
  known(place: ServerPlace, model: string): ToldModel | null;
  /** Asks if nothing is known. Null if the server could not say it now. */
  learn(place: ServerPlace, model: string, signal: AbortSignal): Promise<ToldModel | null>;
}

/** Where a server is. */
export interface ServerPlace {
  provider: string;
  /** Without the path of an API. */
  baseUrl: string;
  apiKey: string | null;
}

/** All servers of one kind. */
export interface ModelServer {
  /** Its models, the newest first. Rejects with NetError, or saying what answered instead. */
  list(place: ServerPlace, signal: AbortSignal): Promise<ServerModel[]>;
  /** What is known of a model by now. */
  known(place: ServerPlace, model: string): ServerModel | null;
  /** Asks for it if it is not known. Null if the server does not have it, or does not answer. */
  learn(place: ServerPlace, model: string, signal: AbortSignal): Promise<ServerModel | null>;
}

/** What a variable says; null if that is nothing. */
export const given = (env: Env, name: string): string | null => env[name]?.trim() || null;

/** One model for every tier. */
export const sameModel = (model: string): TierModels => ({ light: [model], standard: [model], strong: [model] });
