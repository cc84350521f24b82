// Run by kill.test.ts: holds the lock of a home until it is killed.
import { lockHome } from '../../src/store/sqlite/lock.ts';

lockHome(process.argv[2] ?? '');
process.stdout.write('held\n');
setInterval(() => {}, 1000);
