"use strict";
// One question at a time: the answer's JSON is that of palpate query, and every number shown is taken from it.
(() => {
  const by = (id) => document.getElementById(id);
  const state = { slice: null, run: 0, asked: 0, sliced: 0 };
  const headers = () => {
    const token = by("token")?.value.trim();
    return token ? { Authorization: `Bearer ${token}` } : {};
  };

  const say = (words, fault = false) => {
    by("message").textContent = words;
    by("message").classList.toggle("fault", fault);
  };

  const get = async (path, fields = {}) => {
    const query = new URLSearchParams({ purpose: by("purpose").value, ...fields });
    const answer = await fetch(`/api/v1/${path}?${query}`, { headers: headers(), cache: "no-store" });
    const told = await answer.json();
    if (!answer.ok) {
      const { where, found, expected, advice } = told.error;
      throw new Error(`${where}: found ${found}; expected ${expected}. ${advice}`);
    }
    return told;
  };

  const fill = (select, values) => {
    select.replaceChildren(...values.map((one) => new Option(one, one)));
  };

  const place = () => `subjects/${by("subject").value}/sessions/${by("session").value}`;
  const sphere = () => ["x", "y", "z", "radius"].map((id) => by(id).value).join(",");
  const number = (value) => (value === 0 || Math.abs(value) >= 0.01 ? value.toPrecision(4) : value.toExponential(2));

  const guarded = (work) => async (event) => {
    event?.preventDefault?.();
    try {
      await work(event);
    } catch (error) {
      say(error.message, true);
    }
  };

  // Perceptually even from dark violet to yellow (matplotlib's viridis at nine places, CC0).
  const COLOURS = [[68, 1, 84], [72, 40, 120], [62, 74, 137], [49, 104, 142], [38, 130, 142], [31, 158, 137], [53, 183, 121], [109, 205, 89], [253, 231, 37]];
  const colour = (share) => {
    const at = Math.min(Math.max(share, 0), 1) * (COLOURS.length - 1);
    const low = Math.min(Math.floor(at), COLOURS.length - 2);
    return COLOURS[low].map((one, k) => one + (COLOURS[low + 1][k] - one) * (at - low));
  };

  const world = (i, j, k, affine) => [0, 1, 2].map((row) => affine[row][0] * i + affine[row][1] * j + affine[row][2] * k + affine[row][3]);

  // Direction of a voxel axis in the patient: the letter of the world axis that it follows most.
  const direction = (axis, affine) => {
    const along = [0, 1, 2].map((row) => affine[row][axis]);
    const most = along.reduce((best, one, row) => (Math.abs(one) > Math.abs(along[best]) ? row : best), 0);
    return (along[most] > 0 ? "RAS" : "LPI")[most];
  };

  const values = (text) => {
    const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
    return new Float32Array(bytes.buffer);
  };

  const draw = () => {
    const { slice } = state;
    if (!slice) return;
    const [columns, rows] = slice.shape;
    const small = new ImageData(columns, rows);
    const centre = ["x", "y", "z"].map((id) => parseFloat(by(id).value));
    const radius = parseFloat(by("radius").value);
    const given = centre.every(Number.isFinite) && radius > 0;
    for (let j = 0; j < rows; j += 1) {
      for (let i = 0; i < columns; i += 1) {
        const value = slice.values[j * columns + i];
        const at = 4 * ((rows - 1 - j) * columns + i);
        let [red, green, blue] = Number.isFinite(value) ? colour(value / slice.top_kpa) : [0, 0, 0];
        if (given) {
          const apart = Math.hypot(...world(i, j, slice.slice, slice.affine_ras_mm).map((one, axis) => one - centre[axis]));
          if (apart <= radius) [red, green, blue] = [red, green, blue].map((one) => 0.45 * one + 140);
        }
        small.data.set([red, green, blue, 255], at);
      }
    }
    const canvas = by("slice");
    const scale = Math.max(1, Math.floor(640 / Math.max(columns, rows)));
    canvas.width = columns * scale;
    canvas.height = rows * scale;
    const buffer = new OffscreenCanvas(columns, rows);
    buffer.getContext("2d").putImageData(small, 0, 0);
    const context = canvas.getContext("2d");
    context.imageSmoothingEnabled = false;
    context.drawImage(buffer, 0, 0, canvas.width, canvas.height);
    by("index").max = slice.shape[2] - 1;
    by("index").value = slice.slice;
    by("place").textContent = `${slice.slice + 1} of ${slice.shape[2]}`;
    by("scale").textContent = `Violet is 0, yellow ${number(slice.top_kpa)} kPa or more; black has no value; the sphere is lighter. To the right lies ${direction(0, slice.affine_ras_mm)}, up ${direction(1, slice.affine_ras_mm)}. ${slice.run}, ${slice.frequency_hz} Hz.`;
  };

  const showSlice = async (index) => {
    const turn = (state.sliced += 1);
    const told = await get(`${place()}/slices/${index}`, { run: state.run });
    if (turn !== state.sliced) return;
    told.values = values(told.values_base64);
    state.slice = told;
    draw();
  };

  const histogram = (figure, told) => {
    const canvas = by("histogram");
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const { width, height } = canvas;
    const all = told.values;
    const [low, high] = [Math.min(...all), Math.max(...all)];
    const count = Math.max(8, Math.min(40, Math.round(Math.sqrt(all.length) * 1.5)));
    const step = (high - low) / count || 1;
    const bins = new Array(count).fill(0);
    all.forEach((one) => { bins[Math.min(count - 1, Math.floor((one - low) / step))] += 1; });
    const most = Math.max(...bins);
    const x = (value) => 20 + ((value - low) / (step * count)) * (width - 40);
    context.clearRect(0, 0, width, height);
    context.fillStyle = style.getPropertyValue("--accent");
    bins.forEach((one, k) => {
      const tall = (one / most) * (height - 60);
      context.fillRect(x(low + k * step) + 1, height - 35 - tall, x(low + step) - x(low) - 2, tall);
    });
    context.fillStyle = style.getPropertyValue("--warm");
    [figure.lower_kpa, figure.mean_kpa, figure.upper_kpa].forEach((one) => context.fillRect(x(one) - 1, 10, 2, height - 45));
    context.fillStyle = style.getPropertyValue("--ink");
    context.font = "20px sans-serif";
    context.textBaseline = "bottom";
    context.fillText(`${number(low)} kPa`, 20, height - 5);
    context.textAlign = "right";
    context.fillText(`${number(high)} kPa`, width - 20, height - 5);
    context.textAlign = "left";
    by("histogram-words").textContent = `${all.length} joint draws of the mean ${figure.words}; lines at the mean and the ends of the 95 % interval.`;
    by("distribution").hidden = false;
  };

  const show = (answer) => {
    const result = answer.results[state.run] ?? answer.results[0];
    const first = result.quantities.storage_modulus;
    by("headline").textContent = `Mean ${first.words}: ${number(first.mean_kpa)} kPa (95 % interval ${number(first.lower_kpa)} to ${number(first.upper_kpa)} kPa); ${(100 * result.covered_share).toFixed(0)} % of the region is on the map.`;
    const rows = Object.values(result.quantities).map((one) => {
      const end = one.unit === "kPa" ? "_kpa" : "";
      const unit = one.unit === "kPa" ? " kPa" : "";
      const above = one.above ? one.above.beyond_draws ?? `${(100 * one.above.probability).toFixed(1)} % above ${one.above.threshold_kpa} kPa` : "–";
      return [one.words, number(one[`mean${end}`]) + unit, `${number(one[`lower${end}`])} to ${number(one[`upper${end}`])}${unit}`, above];
    });
    by("figures").tBodies[0].replaceChildren(...rows.map((cells) => {
      const row = document.createElement("tr");
      cells.forEach((text) => { row.append(Object.assign(document.createElement("td"), { textContent: text })); });
      return row;
    }));
    by("figures").hidden = false;
    by("warnings").replaceChildren(...answer.warnings.map((one) => Object.assign(document.createElement("li"), { textContent: `${one.sentence} ${one.advice}` })));
    window.palpateAnswer = answer;
  };

  const ask = async () => {
    const turn = (state.asked += 1);
    say("Asking ...");
    const fields = { sphere: sphere(), ...(by("above").value ? { above: by("above").value } : {}) };
    const [answer, told] = await Promise.all([get(`${place()}/region`, fields), get(`${place()}/region`, { sphere: sphere(), format: "draws" })]);
    if (turn !== state.asked) return;
    show(answer);
    const result = answer.results[state.run] ?? answer.results[0];
    histogram(result.quantities.storage_modulus, (told.results[state.run] ?? told.results[0]).draws.storage_modulus);
    by("command").textContent = `palpate query sub-${answer.subject}/ses-${answer.session} --sphere=${sphere()}${by("above").value ? ` --above ${by("above").value}` : ""}`;
    say("");
    draw();
  };

  const openSession = async () => {
    state.slice = null;
    if (!by("session").value) return;
    const { shape } = await get(`${place()}/slices/0`, { run: state.run });
    await showSlice(Math.floor(shape[2] / 2));
  };

  const openSubject = async () => {
    const { sessions } = await get(`subjects/${by("subject").value}/sessions`);
    fill(by("session"), sessions);
    await openSession();
  };

  const begin = async () => {
    const { subjects } = await get("subjects");
    fill(by("subject"), subjects);
    if (subjects.length) await openSubject();
    say("");
  };

  by("slice").addEventListener("click", guarded(async (event) => {
    if (!state.slice) return;
    const box = by("slice").getBoundingClientRect();
    const [columns, rows] = state.slice.shape;
    const i = Math.floor(((event.clientX - box.left) / box.width) * columns);
    const j = rows - 1 - Math.floor(((event.clientY - box.top) / box.height) * rows);
    world(i, j, state.slice.slice, state.slice.affine_ras_mm).forEach((one, axis) => { by(["x", "y", "z"][axis]).value = one.toFixed(1); });
    draw();
    await ask();
  }));
  by("question").addEventListener("submit", guarded(ask));
  by("subject").addEventListener("change", guarded(openSubject));
  by("session").addEventListener("change", guarded(openSession));
  by("purpose").addEventListener("change", guarded(openSubject));
  by("index").addEventListener("input", guarded(async () => showSlice(by("index").value)));
  ["x", "y", "z", "radius"].forEach((id) => by(id).addEventListener("input", draw));
  by("open")?.addEventListener("click", guarded(begin));
  if (!by("open")) guarded(begin)();
})();
