"use strict";
// The line at the cross-hair: the native maps' own numbers, not what is drawn. The library takes the nearest edge voxel
// for a point outside a volume, and the drawn volumes are rounded. The voxel of a point is the one whose centre is
// nearest, indices rounded half up, i = floor(x + 1/2) with x = inverse affine * point.
const crossHair = {
  outside: "At the cross-hair: outside the map",

  // Unpacks the numbers of a frame; `read` turns base64 into an array of values.
  async load(frame, read) {
    const figures = [];
    for (const one of frame.numbers.figures) {
      const ends = {};
      for (const end of ["mean", "lower", "upper"]) ends[end] = one[end] === null ? null : await read(one[end]);
      figures.push({ name: one.name, unit: one.unit, ...ends });
    }
    return { ...frame.numbers, figures, veil: frame.veil === null ? null : await read(frame.veil) };
  },

  // Text for a world point, R A S in millimetres.
  sentence(numbers, point) {
    const index = numbers.inverse.map((row) => Math.floor(row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3] + 0.5));
    if (!index.every((i, axis) => i >= 0 && i < numbers.shape[axis])) return crossHair.outside;
    const at = index[0] + numbers.shape[0] * (index[1] + numbers.shape[1] * index[2]);
    const value = (values) => (values === null || values[at] === numbers.none ? null : (values[at] / 100).toFixed(2));
    if (value(numbers.figures[0].mean) === null) return crossHair.outside;
    const told = numbers.figures.map((one) => {
      const [mean, lower, upper] = [value(one.mean), value(one.lower), value(one.upper)];
      if (mean === null) return `${one.name} unknown`;
      const unit = one.unit ? ` ${one.unit}` : "";
      return `${one.name} ${mean}${unit}` + (lower === null || upper === null ? "" : ` (${lower} to ${upper})`);
    });
    const source = numbers.veiled === null ? "" : `, ${numbers.veiled[numbers.veil[at] ? 0 : 1]}`;
    return `At the cross-hair: ${told.join(", ")}; ${numbers.tail}${source}`;
  },

  // The place in words: letters of the side, millimetres from the origin of the scanner's coordinates.
  place(point) {
    const [x, y, z] = point.map((one) => Math.abs(one).toFixed(1));
    return `Place: ${x} mm ${point[0] < 0 ? "L" : "R"}, ${y} mm ${point[1] < 0 ? "P" : "A"}, ${z} mm ${point[2] < 0 ? "I" : "S"} (R A S ${point.map((one) => one.toFixed(1)).join(" ")})`;
  },
};
