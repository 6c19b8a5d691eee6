// Load segmentations as OHIF does, with its own adapters, and write down what each paints:
//     node segments.mjs FOLDER IMAGE.dcm [IMAGE.dcm ...] -- SEG.dcm [SEG.dcm ...]
// FOLDER/SEG.dcm-UID.labels holds one byte a pixel of the image with this UID; an image over which
// a segmentation paints nothing has no file.
import { webcrypto } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { register } from 'node:module';
import { basename, join } from 'node:path';

// What Node 18, Debian 12's, does not bring by itself: two browser globals, and finding out that a
// package holds modules where the package does not say so.
globalThis.crypto ??= webcrypto;
globalThis.CustomEvent ??= class extends Event {
  constructor(type, options) {
    super(type, options);
    this.detail = options?.detail;
  }
};
const hook = String.raw`export const load = (url, context, next) =>
  next(url, /\.es\.js$|\/esm\//.test(url) ? { ...context, format: 'module' } : context);`;
register('data:text/javascript,' + encodeURIComponent(hook));
const { adaptersSEG } = await import('@cornerstonejs/adapters');
const { imageLoader, metaData } = await import('@cornerstonejs/core');
const { data } = await import('dcmjs');

const bytes = (path) => {
  const file = readFileSync(path);
  return file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength);
};
const [folder, ...paths] = process.argv.slice(2);
const [images, segmentations] = [paths.slice(0, paths.indexOf('--')), paths.slice(paths.indexOf('--') + 1)];
const headers = new Map(
  images.map((path) => {
    const { dict } = data.DicomMessage.readFile(bytes(path));
    return [`image:${path}`, data.DicomMetaDictionary.naturalizeDataset(dict)];
  })
);
// What OHIF knows of a projection: its pixels, and no place in any space.
const modules = {
  instance: (header) => header,
  generalImageModule: (header) => ({ sopInstanceUID: header.SOPInstanceUID }),
  generalSeriesModule: (header) => ({ seriesInstanceUID: header.SeriesInstanceUID }),
  imagePixelModule: (header) => ({
    rows: header.Rows, columns: header.Columns, bitsAllocated: 16, bitsStored: header.BitsStored,
    highBit: header.HighBit, pixelRepresentation: 0, samplesPerPixel: 1,
    photometricInterpretation: header.PhotometricInterpretation,
  }),
  imagePlaneModule: (header) => ({
    rows: header.Rows, columns: header.Columns, rowCosines: [1, 0, 0], columnCosines: [0, 1, 0],
    imageOrientationPatient: [1, 0, 0, 0, 1, 0], imagePositionPatient: [0, 0, 0],
    rowPixelSpacing: 1, columnPixelSpacing: 1, usingDefaultValues: true,
  }),
};
metaData.addProvider((kind, id) => headers.has(id) && modules[kind]?.(headers.get(id)), 1000);

for (const path of segmentations) {
  const loaded = await adaptersSEG.Cornerstone3D.Segmentation.createFromDICOMSegBuffer(
    [...headers.keys()], bytes(path), { metadataProvider: metaData }
  );
  for (const map of loaded.labelMapImages.flat()) {
    const pixels = map.voxelManager.getScalarData();
    if (pixels.some((pixel) => pixel !== 0)) {
      const uid = headers.get(map.referencedImageId).SOPInstanceUID;
      writeFileSync(join(folder, `${basename(path)}-${uid}.labels`), Uint8Array.from(pixels));
    }
  }
}
