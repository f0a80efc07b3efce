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

    // The library blurs and differentiates the lowest volume for renderings in three dimensions, slice by slice. The page
    // has none, and without a graphics card this took most of the time: while those programs are in use nothing is drawn.
    withoutGradients(viewer) {
      const gl = viewer.gl;
      const unused = new Set([viewer.blurShader, viewer.gradientPrePassShader, viewer.sobelFirstOrderShader, viewer.sobelSecondOrderShader].map((one) => one.program));
      const [use, draw, layer, check] = ["useProgram", "drawArrays", "framebufferTextureLayer", "checkFramebufferStatus"].map((name) => gl[name].bind(gl));
      let idle = false;
      gl.useProgram = (program) => { idle = unused.has(program); use(program); };
      gl.drawArrays = (...given) => { if (!idle) draw(...given); };
      gl.framebufferTextureLayer = (...given) => { if (!idle) layer(...given); };
      gl.checkFramebufferStatus = (target) => (idle ? gl.FRAMEBUFFER_COMPLETE : check(target));
    },

    // Resolves when everything that was asked of the graphics card so far has been drawn.
    drawn(viewer) {
      const gl = viewer.gl;
      const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
      gl.flush();
      return new Promise((done) => {
        const look = () => {
          if (gl.getSyncParameter(fence, gl.SYNC_STATUS) !== gl.SIGNALED && !gl.isContextLost()) {
            setTimeout(look, 5);
            return;
          }
          gl.deleteSync(fence);
          done();
        };
        look();
      });
    },
  };
})();
