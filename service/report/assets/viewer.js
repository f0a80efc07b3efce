"use strict";
// The interactive viewer: anatomy below, one map above it, a veil where the prior decides, a readout at the cross-hair.
(() => {
  const data = JSON.parse(document.getElementById("viewer-data").textContent);
  const element = (name) => document.getElementById("viewer-" + name);
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

  const viewer = new niivue.Niivue({
    backColor: [1, 1, 1, 1],
    crosshairColor: [0.77, 0.38, 0.18, 0.9],
    crosshairWidth: 0.4,
    crosshairWidthUnit: "mm",
    fontColor: [0.36, 0.42, 0.46, 1],
    fontSizeScaling: 0.3,
    isColorbar: false,
    isNearestInterpolation: true,
    isRadiologicalConvention: true,
    isSliceMM: true,
    isCornerOrientationText: false,
    multiplanarShowRender: niivue.SHOW_RENDER.NEVER,
    multiplanarLayout: niivue.MULTIPLANAR_TYPE.ROW,
    multiplanarEqualSize: true,
    tileMargin: 6,
    multiplanarPadPixels: 6,
    dragAndDropEnabled: false,
    scrollRequiresFocus: true,
    loadingText: "",
    logLevel: "error",
  });
  for (const [name, nodes] of Object.entries(data.colours)) viewer.addColormap("page-" + name, nodes);
  viewer.addColormap("page-veil", { R: [255, 255, 255], G: [255, 255, 255], B: [255, 255, 255], A: [0, 255, 255], I: [0, 1, 255] });

  const state = { run: 0, layer: 0, volumes: [] };
  // The library replaces a given colour range by one it takes from the values, so the range is set after loading.
  async function load(name, base64, colormap, bottom, top) {
    const volume = await niivue.NVImage.loadFromBase64({ name: name + ".nii.gz", base64, colormap, opacity: 0 });
    volume.cal_min = bottom;
    volume.cal_max = top;
    return volume;
  }

  // All volumes of a run stay loaded, so that the cross-hair can read mean and spread together.
  async function showRun() {
    const run = data.runs[state.run];
    for (const volume of state.volumes.slice().reverse()) viewer.removeVolume(volume);
    state.volumes = [];
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
    for (const volume of volumes) viewer.addVolume(volume);
    state.volumes = volumes;
    paint();
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

  viewer.onLocationChange = (location) => {
    const run = data.runs[state.run];
    const at = (key) => {
      const found = location.values.find((item) => item.name.startsWith(key));
      return found ? found.value : NaN;
    };
    const figure = (name, modulus) => `${name} ${at("mean-" + modulus).toFixed(2)} ± ${at("std-" + modulus).toFixed(2)} kPa`;
    const covered = at("mean-" + "storagemodulus") > 0;
    const who = at("veil") > 0.5 ? "the prior decides here" : "data decide here";
    status.textContent = covered
      ? `At the cross-hair: ${figure("G′", "storagemodulus")}, ${figure("G″", "lossmodulus")} (mean ± standard deviation); ${who}.`
      : "At the cross-hair: outside the maps.";
  };

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
      const middle = data.runs[state.run].centre_mm;
      viewer.scene.crosshairPos = viewer.mm2frac(middle);
      viewer.drawScene();
      viewer.createOnLocationChange();
    } catch (error) {
      console.error(error);
      fail();
    }
  })();
})();
