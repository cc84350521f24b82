import { adaptive } from './play.ts';
const [only = '', teeth] = process.argv.slice(2);
const begun = Date.now();
await adaptive((text) => console.log(text), { only, teeth: teeth === 'teeth' });
console.log(Date.now() - begun, 'ms');
