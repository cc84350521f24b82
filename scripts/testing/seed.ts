// Property tests of a mutant run look at the same cases each time, so that a score can be compared with the last one.
import fc from 'fast-check';

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 4747 });
