"use strict";
// WebGL for the library, which does much at its start that this page never shows. Without a graphics card that took most
// of the time until the first picture.
const graphics = (() => {
  const SETTERS = ["1f", "1fv", "1i", "1ui", "2f", "2fv", "3fv", "4f", "4fv", "Matrix4fv"].map((end) => "uniform" + end);
  const KEPT = ["compileShader", "attachShader", "linkProgram", "getProgramParameter", "getUniformLocation", "useProgram",
    "drawArrays", "drawElements", "framebufferTextureLayer", "checkFramebufferStatus", ...SETTERS];
  const copied = (value) => (value && typeof value === "object" ? value.slice() : value);

  return {
    // Three dozen programs are compiled at the start, one after the other: each waits here for the first drawing with it,
    // and its uniforms with it. Returns the set of programs with which nothing is to be drawn at all.
    compileWhenUsed(gl) {
      const own = Object.fromEntries(KEPT.map((name) => [name, gl[name].bind(gl)]));
      const waiting = new Map(); // of each program that is not compiled yet: its shaders, and calls that set its uniforms
      const never = new Set();
      let current = null;
      const draw = (how) => {
        if (never.has(current)) return;
        const { shaders, calls } = waiting.get(current) || { shaders: [], calls: [] };
        if (waiting.delete(current)) {
          shaders.forEach(own.compileShader);
          own.linkProgram(current);
          if (!own.getProgramParameter(current, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(current));
          own.useProgram(current);
          calls.forEach((call) => call());
        }
        how();
      };
      gl.compileShader = () => {};
      gl.linkProgram = () => {};
      gl.attachShader = (program, shader) => {
        if (!waiting.has(program)) waiting.set(program, { shaders: [], calls: [] });
        waiting.get(program).shaders.push(shader);
        own.attachShader(program, shader);
      };
      gl.getProgramParameter = (program, what) => (waiting.has(program) ? true : own.getProgramParameter(program, what));
      gl.getUniformLocation = (program, name) => ({ program, name, place: undefined });
      gl.useProgram = (program) => {
        current = program;
        if (!waiting.has(program)) own.useProgram(program);
      };
      for (const name of SETTERS) {
        gl[name] = (uniform, ...values) => {
          if (!uniform) return;
          const set = (...given) => {
            if (uniform.place === undefined) uniform.place = own.getUniformLocation(uniform.program, uniform.name);
            own[name](uniform.place, ...given);
          };
          const later = waiting.get(uniform.program);
          if (!later) set(...values);
          else later.calls.push(set.bind(null, ...values.map(copied)));
        };
      }
      gl.drawArrays = (...given) => draw(() => own.drawArrays(...given));
      gl.drawElements = (...given) => draw(() => own.drawElements(...given));
      gl.framebufferTextureLayer = (...given) => { if (!never.has(current)) own.framebufferTextureLayer(...given); };
      gl.checkFramebufferStatus = (target) => (never.has(current) ? gl.FRAMEBUFFER_COMPLETE : own.checkFramebufferStatus(target));
      return never;
    },

    // The library blurs and differentiates the lowest volume for renderings in three dimensions. The page has none.
    gradients: (viewer) => [viewer.blurShader, viewer.gradientPrePassShader, viewer.sobelFirstOrderShader, viewer.sobelSecondOrderShader].map((one) => one.program),

    // Resolves when everything that was asked for so far has been drawn.
    drawn(gl) {
      const fence = gl.fenceSync(gl.SYNC_GPU_COMMANDS_COMPLETE, 0);
      gl.flush();
      return new Promise((done) => {
        const look = () => {
          if (gl.isContextLost() || gl.getSyncParameter(fence, gl.SYNC_STATUS) === gl.SIGNALED) done();
          else setTimeout(look, 5);
        };
        look();
      });
    },
  };
})();
