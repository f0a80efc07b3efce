// Interactive viewer: an image below, one map above it, a veil over voxels that are faded, outlines, and a line that
// states the maps' own numbers at the cross-hair. Only the chosen frame and map are unpacked (volumes.js).
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const element = (name) => document.getElementById("viewer-" + name);
  const library = window.niivue;
  const canvas = element("canvas");
  const status = element("status");
  const fail = () => {
    element("box").classList.add("without");
    document.documentElement.classList.remove("with-viewer");
    status.textContent = "This browser cannot show the interactive viewer (it needs WebGL 2). The still pictures show the same maps.";
  };
  const antialias = navigator.hardwareConcurrency > 6;
  const gl = canvas.getContext("webgl2", { alpha: true, antialias });
  if (!gl) {
    fail();
    return;
  }
  document.documentElement.classList.add("with-viewer");

  // On a telephone three slices beside each other would be as wide as a thumb: there they lie one below the other.
  const narrow = window.matchMedia("(max-width: 40rem)");
  const layout = () => (narrow.matches ? library.MULTIPLANAR_TYPE.COLUMN : library.MULTIPLANAR_TYPE.ROW);
  const viewer = new library.Niivue({
    backColor: [0, 0, 0, 1],
    crosshairColor: [1, 0.62, 0.35, 0.9],
    crosshairWidth: 0.4,
    crosshairWidthUnit: "mm",
    fontColor: [1, 0.72, 0.5, 1],
    fontSizeScaling: 0.4,
    isColorbar: false,
    isNearestInterpolation: true,
    isRadiologicalConvention: true,
    isSliceMM: true,
    isCornerOrientationText: false,
    multiplanarShowRender: library.SHOW_RENDER.NEVER,
    multiplanarLayout: layout(),
    multiplanarEqualSize: true,
    tileMargin: 4,
    multiplanarPadPixels: 4,
    dragAndDropEnabled: false,
    scrollRequiresFocus: true,
    loadingText: "",
    logLevel: "error",
  });
  // Tests reach the viewer here; the library's own names stay reachable on it.
  for (const [name, value] of Object.entries(library)) if (!(name in viewer)) viewer[name] = value;
  window.niivue = viewer;
  for (const [name, nodes] of Object.entries(data.colours)) viewer.addColormap("page-" + name, nodes);
  viewer.addColormap("page-veil", { R: [0, 0, 0], G: [0, 0, 0], B: [0, 0, 0], A: [0, 255, 255], I: [0, 1, 255] });

  const state = { frame: data.first, layer: data.frames[data.first].layers[0].key, image: null, volumes: [], numbers: null, loading: 0, shown: [] };
  const frame = () => data.frames[state.frame];
  // Days of a scan lack some maps of a forecast: there the first map is shown.
  const chosen = () => frame().layers.find((one) => one.key === state.layer) || frame().layers[0];
  volumes.rangesAreGiven(library);
  const load = (name, piece, ...look) => volumes.load(library, name, piece, ...look);
  const read = async (piece) => (await load("numbers", piece)).img;

  const here = () => Array.from(viewer.frac2mm(viewer.scene.crosshairPos, 0, true)).slice(0, 3);

  // Runs with every drawing, so that the line follows the cross-hair however it was moved.
  function tell(location) {
    if (!state.numbers) return;
    const point = Array.from(location && location.mm ? location.mm : here()).slice(0, 3);
    const said = crossHair.sentence(state.numbers, point);
    if (status.textContent !== said) status.textContent = said;
    element("place").textContent = crossHair.place(point);
  }
  const draw = viewer.drawScene.bind(viewer);
  viewer.drawScene = () => {
    draw();
    tell();
  };
  viewer.onLocationChange = tell;
  narrow.addEventListener("change", () => viewer.setMultiplanarLayout(layout()));

  // The image below: the page's one for all frames, or one of the frame's own. The page's one is coarse at first where it
  // is large, since every map is drawn on its voxels.
  async function below() {
    const wanted = element("background").value;
    const own = frame().images.find((one) => one.key === wanted);
    if (data.image && !own) {
      if (state.image) return state.image;
      const coarse = data.image.preview !== null;
      const image = await load(coarse ? "preview" : "image", coarse ? data.image.preview : data.image.data);
      if (!coarse) state.image = image;
      return image;
    }
    const found = own || frame().images[0];
    return load("below", found ? found.data : frame().layers[0].data, "gray", [0, 255], found ? 1 : 0);
  }

  function map() {
    const layer = chosen();
    return load(layer.key, layer.data, "page-" + layer.colours, [layer.top / 1000, layer.top], opacity());
  }

  const opacity = () => Number(element("opacity").value) / 100;
  const faded = () => (element("veil").checked ? 0.65 * opacity() : 0);

  // Outlines are one volume of numbers; a colour map gives each number its colour, or none.
  function colourOutlines() {
    const nodes = { R: [0], G: [0], B: [0], A: [0], I: [0] };
    const step = frame().outline_step;
    const add = (rgb, alpha, place) => {
      [nodes.R, nodes.G, nodes.B].forEach((channel, n) => channel.push(rgb[n]));
      nodes.A.push(alpha);
      nodes.I.push(place);
    };
    frame().outlines.forEach((one, number) => {
      const alpha = state.shown.includes(one.name) ? 255 : 0;
      for (const aside of [-3, 3]) add(one.rgb, alpha, step * (number + 1) + aside);
    });
    add([0, 0, 0], 0, 255);
    viewer.addColormap("page-outlines", nodes);
  }

  // The cross-hair keeps its place in the world when the frame or the image changes; its stored position is a fraction
  // of the lowest volume.
  function place(shown, point) {
    viewer.volumes = shown;
    viewer.back = shown[0];
    viewer.overlays = shown.slice(1);
    viewer.scene.crosshairPos = viewer.mm2frac(point, 0, true);
    state.volumes = shown;
    viewer.updateGLVolume(); // draws, too
  }

  async function show(numbersToo) {
    const turn = ++state.loading;
    const old = () => turn !== state.loading; // another choice was made meanwhile
    if (numbersToo) {
      state.numbers = null;
      status.textContent = "Loading the maps.";
    }
    const shown = [await below(), await map()];
    shown[1].colormapType = 2; // colours from zero, transparent below the smallest value
    if (frame().veil) shown.push(await load("veil", frame().veil, "page-veil", [0.5, 1], faded()));
    if (frame().outline_data) {
      colourOutlines();
      shown.push(await load("outlines", frame().outline_data, "page-outlines"));
    }
    if (old()) return;
    place(shown, state.volumes.length ? here() : frame().centre_mm);
    legend();
    await graphics.drawn(gl);
    document.querySelector(".stage .poster")?.remove();
    performance.mark("first-picture");
    if (numbersToo) {
      const numbers = await crossHair.load(frame(), read);
      if (old()) return;
      state.numbers = numbers;
      tell();
    }
    await refine(old);
  }

  // Replaces the coarse image below by the whole one.
  async function refine(old) {
    if (state.volumes[0].name === "preview.nii.gz") {
      state.image = state.image || (await load("image", data.image.data));
      if (old()) return;
      place([state.image, ...state.volumes.slice(1)], here());
      await graphics.drawn(gl);
    }
    performance.mark("whole-picture");
  }

  function repaint() {
    if (!state.volumes.length) return;
    const veil = state.volumes.findIndex((one) => one.name === "veil.nii.gz");
    state.volumes[1].opacity = opacity();
    if (veil > 0) state.volumes[veil].opacity = faded();
    colourOutlines();
    viewer.updateGLVolume();
  }

  function legend() {
    const layer = chosen();
    const nodes = data.colours[layer.colours];
    const stops = nodes.R.map((_, n) => `rgb(${nodes.R[n]},${nodes.G[n]},${nodes.B[n]}) ${(100 * nodes.I[n]) / 255}%`);
    element("bar").style.background = `linear-gradient(to right, ${stops.join(",")})`;
    element("bar").classList.toggle("goes-on", layer.end !== "");
    element("bar").style.setProperty("--last", `rgb(${nodes.R.at(-1)},${nodes.G.at(-1)},${nodes.B.at(-1)})`);
    element("top").textContent = `${layer.top} ${layer.unit}`.trim();
    element("middle").textContent = `${Number((layer.top / 2).toPrecision(3))}`;
    element("end").textContent = layer.end;
    element("name").textContent = layer.name;
    element("about").textContent = layer.about;
    element("frame-title").textContent = frame().title;
  }

  // Arrow keys move the cross-hair by a voxel within the slice that was clicked last, Page keys through the slices.
  const planes = { 0: [0, 1, 2], 1: [0, 2, 1], 2: [1, 2, 0] }; // axial, coronal, sagittal: across, up, through
  canvas.addEventListener("keydown", (event) => {
    const tile = viewer.screenSlices[viewer.uiData.clickedTile];
    const [across, up, through] = planes[tile ? tile.axCorSag : 0] || planes[0];
    // The patient's right is on the left of a picture; in a sagittal one the front is where the library puts it.
    const toTheRight = across === 0 || viewer.opts.sagittalNoseLeft ? -1 : 1;
    const moves = {
      ArrowLeft: [across, -toTheRight], ArrowRight: [across, toTheRight], ArrowUp: [up, 1], ArrowDown: [up, -1],
      PageUp: [through, 1], PageDown: [through, -1],
    };
    if (!(event.key in moves) || !state.volumes.length) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    const point = here();
    point[moves[event.key][0]] += moves[event.key][1] * frame().step_mm;
    viewer.scene.crosshairPos = viewer.mm2frac(point, 0, true).map((one) => Math.min(1, Math.max(0, one)));
    viewer.drawScene();
  }, true);

  const choose = (name, titles) => {
    const box = element(name);
    titles.forEach((title, number) => box.add(new Option(title, number)));
    box.closest("label").hidden = titles.length < 2;
  };
  function outlineBoxes() {
    const place = element("outlines");
    const seen = data.frames.flatMap((one) => one.outlines).filter((one, at, all) => all.findIndex((other) => other.name === one.name) === at);
    for (const one of seen) {
      const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: one.shown });
      const label = document.createElement("label");
      const mark = Object.assign(document.createElement("span"), { className: "swatch" });
      mark.style.background = `rgb(${one.rgb.join(",")})`;
      label.append(box, mark, document.createTextNode(one.name));
      place.append(label);
      if (one.shown) state.shown.push(one.name);
      box.addEventListener("change", () => {
        state.shown = state.shown.filter((name) => name !== one.name).concat(box.checked ? [one.name] : []);
        repaint();
      });
    }
    place.hidden = seen.length === 0;
  }
  const run = element("run");
  if (run.tagName === "SELECT") choose("run", data.frames.map((one) => one.title));
  const maps = new Map(data.frames.flatMap((one) => one.layers).map((layer) => [layer.key, layer.name]));
  for (const [key, name] of maps) element("layer").add(new Option(name, key));
  const images = [...(data.image ? [data.image] : []), ...data.frames[0].images];
  for (const one of images) element("background").add(new Option(one.name, one.key));
  element("background").closest("label").hidden = images.length < 2;
  element("veil").closest("label").hidden = data.frames.every((one) => one.veil === null);
  outlineBoxes();

  run.value = data.first;
  run.addEventListener(run.tagName === "SELECT" ? "change" : "input", (event) => { state.frame = Number(event.target.value); show(true); });
  element("layer").addEventListener("change", (event) => { state.layer = event.target.value; show(false); });
  element("background").addEventListener("change", () => show(true));
  element("opacity").addEventListener("input", repaint);
  element("veil").addEventListener("change", repaint);
  // A link in a list or table moves the cross-hair to its place, on the maps of its own run.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("[data-mm]");
    if (!link || !state.volumes.length) return;
    viewer.scene.crosshairPos = viewer.mm2frac(link.dataset.mm.split(" ").map(Number), 0, true);
    element("box").scrollIntoView({ block: "nearest" });
    const own = Number(link.closest("[data-frame]")?.dataset.frame ?? state.frame);
    if (own === state.frame) {
      viewer.drawScene();
      return;
    }
    run.value = state.frame = own;
    show(true);
  });

  (async () => {
    try {
      const never = graphics.compileWhenUsed(gl);
      await viewer.attachToCanvas(canvas, antialias);
      graphics.gradients(viewer).forEach((program) => never.add(program));
      await show(true);
    } catch (error) {
      console.error(error);
      fail();
    }
  })();
})();
