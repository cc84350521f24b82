/** Sees what people put into the work tree without naming it to anybody. */
export interface DroppedFiles {
  /**
   * One look at what fits the globs: files that are not as on `main`, neither ignored nor staged, and have been the same at
   * three looks. Each is given once as it is, and again after a while if it is not on `main` by then.
   */
  look(globs: readonly string[]): Promise<string[]>;
}
