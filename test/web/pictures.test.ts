// Pictures that a person adds, in Chromium: as large as models look at, upright, and nothing lost where that would harm.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32, deflateSync } from 'node:zlib';
import type { Page } from 'playwright-core';
import { imageIn } from '../../src/core/image.ts';
import { noBrowser as skip, withStage } from './browser.ts';
import { inPage } from './helpers.ts';
import { Scene } from './scene.ts';

/** What is painted, by its name: a body of JavaScript with `draw` and its size. */
const PAINT = {
  // Red on the left, blue on the right, both with soft shadows and the grain of a camera.
  photo: `const image = draw.createImageData(width, height);
  let grain = 1;
  for (let at = 0; at < image.data.length; at += 4) {
    const [x, y] = [(at / 4) % width, Math.floor(at / 4 / width)];
    grain = (grain * 1103515245 + 12345) % 2147483648;
    const shade = 30 + 30 * Math.sin(x / 90) * Math.cos(y / 70) + grain % 9;
    const [red, blue] = x < width / 2 ? [180, 10] : [10, 180];
    image.data.set([red + shade, shade, blue + shade, 255], at);
  }
  draw.putImageData(image, 0, 0);`,
  screen: `draw.fillStyle = 'white'; draw.fillRect(0, 0, width, height); draw.fillStyle = 'black'; draw.font = '28px sans-serif';
    for (let y = 40; y < height; y += 40) draw.fillText('The invoice of line ' + y + ' is due on the third.', 40 + y % 97, y);`,
  glass: `draw.fillStyle = 'rgba(0, 128, 0, 0.5)'; draw.font = '90px sans-serif';
    for (let y = 100; y < height; y += 100) draw.fillText('Half to be seen through ' + y, y % 89, y);`,
} as const;

async function painted(
  page: Page,
  what: keyof typeof PAINT,
  [width, height]: readonly [number, number],
  type: string,
): Promise<Buffer> {
  const code = `(async () => {
    const [width, height] = [${width}, ${height}];
    const canvas = new OffscreenCanvas(width, height);
    const draw = canvas.getContext('2d');
    ${PAINT[what]}
    const blob = await canvas.convertToBlob({ type: '${type}', quality: 0.95 });
    return new Promise((resolve) => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result.split(',')[1]);
      reader.readAsDataURL(blob);
    });
  })()`;
  return Buffer.from(await inPage<string>(page, code), 'base64');
}

/** The colours, as [r, g, b, a], at shares of width and height. */
const coloursAt = (page: Page, bytes: Uint8Array, at: readonly (readonly [number, number])[]): Promise<number[][]> =>
  inPage(
    page,
    `(async () => {
      const bytes = Uint8Array.from(atob('${Buffer.from(bytes).toString('base64')}'), (each) => each.charCodeAt(0));
      const bitmap = await createImageBitmap(new Blob([bytes]));
      const draw = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
      draw.drawImage(bitmap, 0, 0);
      return ${JSON.stringify(at)}.map(([x, y]) => [...draw.getImageData(x * bitmap.width, y * bitmap.height, 1, 1).data]);
    })()`,
  );

/** A JPEG as a telephone held upright writes it: lying on its side, with a note of that and of where it was. */
function withExif(jpeg: Buffer): Buffer {
  const place = 'at home, 48.8584 N';
  const tiff = Buffer.from('4d4d002a00000008000101120003000000010006000000000000', 'hex');
  const body = Buffer.concat([Buffer.from('Exif\0\0'), tiff, Buffer.from(place)]);
  const head = Buffer.from([0xff, 0xe1, 0, 0]);
  head.writeUInt16BE(body.length + 2, 2);
  return Buffer.concat([jpeg.subarray(0, 2), head, body, jpeg.subarray(2)]);
}

/** Black and white dots, a bit each: scaled it would be grey, and need more. */
function dots(side: number): Buffer {
  const chunk = (type: string, data: Buffer): Buffer => {
    const body = Buffer.concat([Buffer.from(type), data]);
    const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
    length.writeUInt32BE(data.length);
    sum.writeUInt32BE(crc32(body));
    return Buffer.concat([length, body, sum]);
  };
  const head = Buffer.alloc(13);
  head.writeUInt32BE(side, 0);
  head.writeUInt32BE(side, 4);
  head[8] = 1;
  let grain = 1;
  const rows = Buffer.alloc((side / 8 + 1) * side).map((_, at) => {
    grain = (grain * 48_271) % 2_147_483_647;
    return at % (side / 8 + 1) === 0 ? 0 : grain & 255;
  });
  const start = Buffer.from('\x89PNG\r\n\x1a\n', 'latin1');
  return Buffer.concat([start, chunk('IHDR', head), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

interface Given {
  name: string;
  mimeType: string;
  buffer: Buffer;
}

/** Adds files as a person does, waits for them, and sends them. */
async function send(page: Page, given: readonly Given[], before?: () => Promise<void>): Promise<void> {
  await page.getByLabel('Files', { exact: true }).setInputFiles([...given]);
  await page
    .getByRole('list', { name: 'Files to send' })
    .getByRole('listitem')
    .nth(given.length - 1)
    .waitFor();
  await page.getByText('Adding files…').waitFor({ state: 'detached' });
  await before?.();
  await page.getByRole('button', { name: 'Send' }).click();
  await page.locator('.said .bubble:not(.unsent)').last().waitFor();
}

const bytesOf = (scene: Scene, name: string): Uint8Array => scene.files.get(name)?.bytes ?? assert.fail(`no ${name}`);
const sizeOf = (bytes: Uint8Array): string => {
  const { mediaType, width, height } = imageIn(bytes) ?? assert.fail('no picture');
  return `${mediaType} ${width}×${height}`;
};

test(
  'a photo of 12 megapixels is sent upright, as large as models look at, without what the camera noted',
  { skip },
  () =>
    withStage(async ({ open, scene }) => {
      await open(async ({ page, errors }) => {
        const photo = withExif(await painted(page, 'photo', [4_032, 3_024], 'image/jpeg'));
        assert.equal(sizeOf(photo), 'image/jpeg 4032×3024');
        await send(page, [{ name: 'IMG_1.JPG', mimeType: 'image/jpeg', buffer: photo }], async () => {
          assert.ok(await page.getByLabel('Scaled to 1176 × 1568').isChecked());
        });
        const sent = bytesOf(scene, 'IMG_1.JPG');
        assert.equal(sizeOf(sent), 'image/jpeg 1176×1568');
        assert.ok(sent.length < photo.length / 4, `${sent.length} of ${photo.length}`);
        assert.doesNotMatch(Buffer.from(sent).toString('latin1'), /Exif|at home/);
        const [above = [], below = []] = await coloursAt(page, sent, [
          [0.5, 0.1],
          [0.5, 0.9],
        ]);
        assert.ok((above[0] ?? 0) > 150 && (above[2] ?? 255) < 100, `red above: ${above.join()}`);
        assert.ok((below[2] ?? 0) > 150 && (below[0] ?? 255) < 100, `blue below: ${below.join()}`);
        assert.deepEqual(errors, []);
      });
    }),
);

test(
  'screenshots and what can be seen through stay PNG; a photo in PNG or WebP becomes JPEG; the rest is as it was',
  { skip },
  () =>
    withStage(async ({ open, scene }) => {
      await open(async ({ page }) => {
        const of = async (name: string, what: keyof typeof PAINT, size: readonly [number, number]): Promise<Given> => {
          const mimeType = name.endsWith('.webp') ? 'image/webp' : name.endsWith('.jpg') ? 'image/jpeg' : 'image/png';
          return { name, mimeType, buffer: await painted(page, what, size, mimeType) };
        };
        const moving = Buffer.from('\x89PNG\r\n\x1a\n\0\0\0\x08acTL', 'latin1');
        const given = [
          await of('screen.png', 'screen', [2_880, 1_800]),
          await of('glass.png', 'glass', [2_000, 1_000]),
          await of('scan.png', 'photo', [2_000, 1_000]),
          await of('web.webp', 'photo', [2_000, 1_000]),
          await of('small.jpg', 'photo', [1_568, 800]),
          { name: 'dots.png', mimeType: 'image/png', buffer: dots(1_600) },
          { name: 'moving.png', mimeType: 'image/png', buffer: moving },
          { name: 'broken.jpg', mimeType: 'image/jpeg', buffer: Buffer.from([0xff, 0xd8, 0xff, 0, 1]) },
          {
            name: 'drawing.svg',
            mimeType: 'image/svg+xml',
            buffer: Buffer.from('<svg xmlns="http://www.w3.org/2000/svg"/>'),
          },
        ];
        await send(page, given);
        assert.deepEqual(
          ['screen.png', 'glass.png', 'scan.jpg', 'web.jpg'].map((name) => sizeOf(bytesOf(scene, name))),
          ['image/png 1568×980', 'image/png 1568×784', 'image/jpeg 1568×784', 'image/jpeg 1568×784'],
        );
        assert.equal(scene.files.get('scan.jpg')?.mediaType, 'image/jpeg');
        const [hole] = await coloursAt(page, bytesOf(scene, 'glass.png'), [[0.999, 0.01]]);
        assert.equal(hole?.[3], 0, 'it is still to be seen through');
        for (const { name, buffer } of given.slice(4))
          assert.deepEqual(Buffer.from(bytesOf(scene, name)), buffer, name);
        const before = new Map(given.map(({ name, buffer }) => [name.replace(/\..*/, ''), buffer.length]));
        for (const [name, { bytes }] of scene.files)
          assert.ok(bytes.length <= (before.get(name.replace(/\..*/, '')) ?? 0), `${name} did not grow`);
      });
    }),
);

test('unticked, a picture is sent as it came; and it is scaled again when ticked', { skip }, () =>
  withStage(async ({ open, scene }) => {
    await open(async ({ page }) => {
      const buffer = withExif(await painted(page, 'photo', [2_000, 1_000], 'image/jpeg'));
      const given = (name: string): Given[] => [{ name, mimeType: 'image/jpeg', buffer }];
      const box = page.getByLabel('Scaled to 784 × 1568');
      await send(page, given('whole.jpg'), () => box.uncheck());
      assert.deepEqual(Buffer.from(bytesOf(scene, 'whole.jpg')), buffer);
      await send(page, given('less.jpg'), async () => {
        await box.uncheck();
        await box.check();
      });
      assert.equal(sizeOf(bytesOf(scene, 'less.jpg')), 'image/jpeg 784×1568');
    });
  }),
);
