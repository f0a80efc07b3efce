"use strict";
// Volumes of the scene. Each is a piece of the page, gzip in base64 in an element of its own, and is unpacked when it is
// first needed: the first picture waits for one image, one map, the veil and the outlines, for nothing else.
const volumes = (() => {
  const parsed = new Promise((done) => {
    if (document.readyState !== "loading") done();
    else document.addEventListener("DOMContentLoaded", () => done());
  });
  // Pieces that stand before this script are whole; of a later one a part may have been read.
  const here = new Set([...document.querySelectorAll('script[id^="viewer-piece-"]')].map((one) => one.id));

  async function bytes(piece) {
    if (!here.has(piece)) await parsed;
    performance.mark(`unpacked ${piece}`);
    const text = document.getElementById(piece).textContent;
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text).buffer;
    const raw = atob(text);
    const found = new Uint8Array(raw.length);
    for (let at = 0; at < raw.length; at++) found[at] = raw.charCodeAt(at);
    return found.buffer;
  }

  return {
    // A volume for the viewer, with the range of its colours.
    async load(library, name, piece, colormap = "gray", range = [0, 255], opacity = 1) {
      const volume = await library.NVImage.new(await bytes(piece), `${name}.nii.gz`, colormap, opacity);
      [volume.cal_min, volume.cal_max] = range;
      return volume;
    },

    // The page states each range. The library would look for one in every voxel of every volume, several times over.
    rangesAreGiven(library) {
      library.NVImage.prototype.calMinMax = function () {
        Object.assign(this, { cal_min: 0, cal_max: 1, robust_min: 0, robust_max: 1, global_min: 0, global_max: 1 });
        return [0, 1, 0, 1];
      };
    },
  };
})();
