"use strict";
// Interactive viewer: anatomy below, one map above it, a veil over voxels that are mostly a prior assumption, and a line
// that states the maps' own numbers at the cross-hair.
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const element = (name) => document.getElementById("viewer-" + name);
  const library = window.niivue;
  const canvas = element("canvas");
  const status = element("status");
  const fail = () => {
    element("box").classList.add("without");
    status.textContent = "This browser cannot show the interactive viewer (it needs WebGL 2). The still pictures below show the same maps.";
  };
  if (!document.createElement("canvas").getContext("webgl2")) {
    fail();
    return;
  }

  // On a telephone three slices beside each other would be as wide as a thumb: there they lie one below the other.
  const narrow = window.matchMedia("(max-width: 40rem)");
  const layout = () => (narrow.matches ? library.MULTIPLANAR_TYPE.COLUMN : library.MULTIPLANAR_TYPE.ROW);
  const viewer = new library.Niivue({
    backColor: [1, 1, 1, 1],
    crosshairColor: [0.77, 0.38, 0.18, 0.9],
    crosshairWidth: 0.4,
    crosshairWidthUnit: "mm",
    fontColor: [0.77, 0.38, 0.18, 1],
    fontSizeScaling: 0.4,
    isColorbar: false,
    isNearestInterpolation: true,
    isRadiologicalConvention: true,
    isSliceMM: true,
    isCornerOrientationText: false,
    multiplanarShowRender: library.SHOW_RENDER.NEVER,
    multiplanarLayout: layout(),
    multiplanarEqualSize: true,
    tileMargin: 6,
    multiplanarPadPixels: 6,
    dragAndDropEnabled: false,
    scrollRequiresFocus: true,
    loadingText: "",
    logLevel: "error",
  });
  // Tests reach the viewer here; the library's own names stay reachable on it.
  for (const [name, value] of Object.entries(library)) if (!(name in viewer)) viewer[name] = value;
  window.niivue = viewer;
  for (const [name, nodes] of Object.entries(data.colours)) viewer.addColormap("page-" + name, nodes);
  viewer.addColormap("page-veil", { R: [255, 255, 255], G: [255, 255, 255], B: [255, 255, 255], A: [0, 255, 255], I: [0, 1, 255] });

  const state = { run: 0, layer: 0, volumes: [], numbers: null, loading: 0 };
  // The library replaces a given colour range by one it takes from the values, so the range is set after loading.
  async function load(name, base64, colormap, bottom, top) {
    const volume = await library.NVImage.loadFromBase64({ name: name + ".nii.gz", base64, colormap, opacity: 0 });
    volume.cal_min = bottom;
    volume.cal_max = top;
    return volume;
  }

  // The maps' numbers are read here, not from what is drawn: the library takes the nearest edge voxel for a point outside
  // a volume, and the drawn volumes are rounded. The voxel of a point is the one whose centre is nearest, indices rounded
  // half up, i = floor(x + 1/2) with x = inverse affine * point.
  async function loadNumbers(run) {
    const read = async (base64) => (await library.NVImage.loadFromBase64({ name: "numbers.nii.gz", base64 })).img;
    const kpa = {};
    for (const [name, base64] of Object.entries(run.numbers.hundredths_kpa)) kpa[name] = await read(base64);
    return { ...run.numbers, kpa, assumed: await read(run.veil) };
  }

  // Text for a world point, R A S in millimetres.
  function sentence(numbers, point) {
    const outside = "At the cross-hair: outside the map";
    const index = numbers.inverse.map((row) => Math.floor(row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3] + 0.5));
    if (!index.every((i, axis) => i >= 0 && i < numbers.shape[axis])) return outside;
    const at = index[0] + numbers.shape[0] * (index[1] + numbers.shape[1] * index[2]);
    const value = (key) => (numbers.kpa[key][at] === numbers.none ? null : (numbers.kpa[key][at] / 100).toFixed(2));
    if (value("mean-storagemodulus") === null) return outside;
    const figure = (name, modulus) => {
      const [mean, lower, upper] = ["mean", "lower", "upper"].map((statistic) => value(statistic + "-" + modulus));
      if (mean === null) return `${name} unknown`;
      return `${name} ${mean} kPa` + (lower === null || upper === null ? "" : ` (${lower} to ${upper})`);
    };
    const source = numbers.assumed[at] ? "mostly a prior assumption" : "mostly from this scan";
    return `At the cross-hair: ${figure("G'", "storagemodulus")}, ${figure("G''", "lossmodulus")}; mean (95 % interval), ${source}`;
  }

  // Runs with every drawing, so that the line follows the cross-hair however it was moved.
  function tell(location) {
    if (!state.numbers) return;
    const point = location && location.mm ? location.mm : viewer.frac2mm(viewer.scene.crosshairPos, 0, true);
    const said = sentence(state.numbers, point);
    if (status.textContent !== said) status.textContent = said;
  }

  const draw = viewer.drawScene.bind(viewer);
  viewer.drawScene = () => {
    draw();
    tell();
  };
  viewer.onLocationChange = tell;
  narrow.addEventListener("change", () => viewer.setMultiplanarLayout(layout()));

  // The cross-hair keeps its place in the world when run or background change; its stored position is a fraction of the
  // lowest volume.
  async function showRun() {
    const turn = ++state.loading;
    const run = data.runs[state.run];
    const point = state.volumes.length ? Array.from(viewer.frac2mm(viewer.scene.crosshairPos, 0, true)).slice(0, 3) : run.centre_mm;
    state.numbers = null;
    status.textContent = "Loading the maps.";
    const wanted = element("background").value;
    const anatomy = wanted === "anatomy" ? data.anatomy : run.magnitude;
    const below = anatomy || run.magnitude || data.anatomy;
    const volumes = [await load("below", below || run.veil, "gray", 0, 255)];
    volumes[0].opacity = below ? 1 : 0;
    for (const layer of run.layers) {
      const volume = await load(layer.key, layer.data, "page-" + layer.colours, layer.top / 1000, layer.top);
      volume.colormapType = 2; // colours from zero, transparent below the smallest value
      volumes.push(volume);
    }
    volumes.push(await load("veil", run.veil, "page-veil", 0.5, 1));
    const numbers = await loadNumbers(run);
    if (turn !== state.loading) return; // another choice was made meanwhile
    for (const volume of state.volumes.slice().reverse()) viewer.removeVolume(volume);
    for (const volume of volumes) viewer.addVolume(volume);
    state.volumes = volumes;
    state.numbers = numbers;
    viewer.scene.crosshairPos = viewer.mm2frac(point, 0, true);
    paint();
    viewer.drawScene();
  }

  function paint() {
    const run = data.runs[state.run];
    const opacity = Number(element("opacity").value) / 100;
    run.layers.forEach((_, number) => viewer.setOpacity(1 + number, number === state.layer ? opacity : 0));
    viewer.setOpacity(run.layers.length + 1, element("veil").checked ? 0.7 * opacity : 0);
    const layer = run.layers[state.layer];
    const nodes = data.colours[layer.colours];
    const stops = nodes.R.map((_, n) => `rgb(${nodes.R[n]},${nodes.G[n]},${nodes.B[n]}) ${(100 * nodes.I[n]) / 255}%`);
    element("bar").style.background = `linear-gradient(to right, ${stops.join(",")})`;
    element("top").textContent = `${layer.top} ${layer.unit}`;
    element("middle").textContent = `${layer.top / 2}`;
    element("name").textContent = layer.name;
  }

  const choose = (name, titles) => {
    const box = element(name);
    titles.forEach((title, number) => box.add(new Option(title, number)));
    box.closest("label").hidden = titles.length < 2;
  };
  choose("run", data.runs.map((run) => run.title));
  choose("layer", data.runs[0].layers.map((layer) => layer.name));
  const backgrounds = [["anatomy", "T1-weighted", data.anatomy], ["magnitude", "MRE magnitude", data.runs[0].magnitude]];
  for (const [value, title, there] of backgrounds) if (there) element("background").add(new Option(title, value));
  element("background").closest("label").hidden = element("background").length < 2;

  element("run").addEventListener("change", (event) => { state.run = Number(event.target.value); showRun(); });
  element("layer").addEventListener("change", (event) => { state.layer = Number(event.target.value); paint(); });
  element("background").addEventListener("change", showRun);
  element("opacity").addEventListener("input", paint);
  element("veil").addEventListener("change", paint);

  (async () => {
    try {
      await viewer.attachToCanvas(canvas);
      await showRun();
    } catch (error) {
      console.error(error);
      fail();
    }
  })();
})();
