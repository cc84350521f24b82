/** Why a run cannot go on. */
export interface Failure {
  /** A word for programs: `model.rate`, `limit.steps`, `landing.conflict` … */
  code: string;
  /** For people. */
  message: string;
  /** True if a later attempt may succeed. */
  retryable: boolean;
}
