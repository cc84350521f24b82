// Texts in the encodings that mail is written in, named rightly, wrongly or not at all.
import { check, FROM, hex, mail, typed, type Row } from './reading.ts';

/** Encoding as named by the sender ('' for none), the text, its bytes. */
const ENCODINGS: readonly (readonly [string, string, string])[] = [
  ['gb18030', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['gb2312', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['', '你好，世界，这是我们的会议', 'c4e3bac3a3accac0bde7a3acd5e2cac7ced2c3c7b5c4bbe1d2e9'],
  ['ISO-2022-JP', 'こんにちは世界', '1b244224332473244b2441244f402433261b2842'],
  ['', 'こんにちは世界', '1b244224332473244b2441244f402433261b2842'],
  ['x-sjis', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['cp932', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['', 'こんにちは、世界です', '82b182f182c982bf82cd814190a28a4582c582b7'],
  ['euc_jp', 'こんにちは、世界です', 'a4b3a4f3a4cba4c1a4cfa1a2c0a4b3a6a4c7a4b9'],
  ['ks_c_5601-1987', '안녕하세요 세계', 'bec8b3e7c7cfbcbcbfe420bcbcb0e8'],
  ['iso-2022-kr', '안녕하세요', '1b2429430e3e483367474f3c3c3f640f'],
  ['hz-gb-2312', '你好世界', '7e7b44633a434a403d677e7d'],
  ['big5', '您好，這是我們公司的會議', 'b17aa66ea141b36fac4fa7daadcca4bda571aabab77cc4b3'],
  ['koi8-r', 'Привет, как дела?', 'f0d2c9d7c5d42c20cbc1cb20c4c5ccc13f'],
  ['windows-1251', 'Привет, как дела?', 'cff0e8e2e5f22c20eae0ea20e4e5ebe03f'],
  ['', 'Привет, как дела?', 'cff0e8e2e5f22c20eae0ea20e4e5ebe03f'],
  ['cp1250', 'Příliš žluťoučký kůň', '50f8ed6c699a209e6c759d6f75e86bfd206bf9f2'],
  ['iso-8859-1', 'Preis: 5 € – „gut“', '50726569733a203520802096208467757493'],
  ['us-ascii', 'Preis: 5 €', '50726569733a203520e282ac'],
  ['iso-8859-15', 'Preis: 5 €', '50726569733a203520a4'],
  ['cp850', 'Müller Straße', '4d816c6c65722053747261e165'],
  ['ibm437', 'Müller Straße', '4d816c6c65722053747261e165'],
  ['utf-7', 'Hi Mom ☺! ä+ö', '4869204d6f6d202b4a6a6f21202b414f51414b7744322d'],
  ['utf-16', 'Grüße', 'fffe47007200fc00df006500'],
  ['utf-16', 'Grüße', 'feff0047007200fc00df0065'],
  ['utf-8', 'Grüße', '4772fcdf65'],
  ['x-nobody-knows', 'Grüße', '4772fcdf65'],
  ['iso-8859-7', 'Καλημέρα', 'cae1ebe7ecddf1e1'],
  ['windows-1255', 'שלום', 'f9ece5ed'],
  ['macintosh', 'Müller', '4d9f6c6c6572'],
];

check([
  ...ENCODINGS.map(([charset, text, bytes]): Row => [
    `body in ${charset || 'no named encoding'}: ${text}`,
    typed(`text/plain${charset === '' ? '' : `; charset="${charset}"`}`, hex(bytes)),
    { text },
  ]),
  ...ENCODINGS.filter(([charset]) => charset !== '').map(([charset, text, bytes]): Row => [
    `subject in ${charset}: ${text}`,
    mail([FROM, `Subject: =?${charset}?B?${Buffer.from(bytes, 'hex').toString('base64')}?=`], 'x'),
    { subject: text },
  ]),
]);
