"use strict";
// Slices on the left, surfaces on the right. The scene is what planner/report/scene.py packed; coordinates are RAS mm.
(async () => {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const buttons = document.getElementById("buttons");
  const BONES = { 1: [230, 159, 0], 2: [86, 180, 233], 3: [0, 158, 115], 4: [204, 121, 167], 5: [153, 153, 153], 6: [153, 153, 153] };
  const NEURAL = 7, IMPLANT = 8, SOFT = 9; // as in scene.py, but for the implant, which is painted here
  const COLOURS = { 0: [0, 0, 0], ...BONES, [NEURAL]: [213, 94, 0], [IMPLANT]: [255, 255, 255], [SOFT]: [150, 60, 90] };
  const LABEL_OPACITY = 0.4, BONE_OPACITY = 0.45;
  const look = { backColor: [0.07, 0.07, 0.08, 1], crosshairColor: [1, 0.9, 0.3, 0.8], crosshairWidth: 1 };

  const slices = new niivue.Niivue({ ...look, isRadiologicalConvention: true });
  await slices.attachToCanvas(document.getElementById("slices"));
  const surfaces = new niivue.Niivue({ ...look, show3Dcrosshair: false, isOrientCube: true });
  await surfaces.attachToCanvas(document.getElementById("surfaces"));

  slices.addVolume(await niivue.NVImage.loadFromBase64({ base64: scene.ct, name: "ct.nii.gz", cal_min: -300, cal_max: 1100 }));
  const labels = await niivue.NVImage.loadFromBase64({ base64: scene.labels, name: "labels.nii.gz", opacity: LABEL_OPACITY });
  const untouched = labels.img.slice();
  const colour = (shown) => {
    const values = Object.keys(COLOURS).map(Number);
    const alpha = (value) => (value === IMPLANT || (shown && value) ? 255 : 0);
    const [R, G, B] = [0, 1, 2].map((part) => values.map((value) => COLOURS[value][part]));
    labels.setColormapLabel({ R, G, B, A: values.map(alpha), I: values, labels: values.map(String) });
  };
  colour(true);
  slices.addVolume(labels);
  slices.opts.multiplanarShowRender = 0; // never: the surfaces have a canvas of their own

  const bytesOf = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
  const addMesh = async (packed, name, rgb, opacity) => {
    const mesh = await niivue.NVMesh.readMesh(bytesOf(packed), `${name}.mz3`, surfaces.gl, opacity, new Uint8Array([...rgb, 255]), true);
    surfaces.addMesh(mesh);
    return mesh;
  };
  for (const implant of scene.implants) implant.mesh = await addMesh(implant.mz3, `${implant.side}_${implant.rank}`, COLOURS[IMPLANT], 1);
  const bones = [];
  for (const bone of scene.bones) bones.push(await addMesh(bone.mz3, bone.name, BONES[bone.label], BONE_OPACITY));
  surfaces.setSliceType(surfaces.sliceTypeRender);
  surfaces.setRenderAzimuthElevation(0, 10); // from behind: left is left, as on the cover
  surfaces.setScale(0.8);

  const draw = () => { slices.updateGLVolume(); surfaces.drawScene(); };
  const setOpacity = (mesh, opacity) => { mesh.opacity = opacity; mesh.updateMesh(surfaces.gl); };
  const middleOf = ({ ends_ras_mm: [near, far] }) => near.map((value, axis) => (value + far[axis]) / 2);

  // Paint the voxels of an implant, its outline pushed along its axis, into the labels.
  const paint = (implant) => {
    const [near, far] = implant.ends_ras_mm;
    const along = far.map((value, axis) => value - near[axis]);
    const length = Math.hypot(...along), unit = along.map((value) => value / length);
    const step = Math.min(...scene.index_from_ras.map((row) => 1 / Math.hypot(row[0], row[1], row[2]))) / 2;
    const across = [Math.abs(unit[0]) < 0.9 ? 1 : 0, Math.abs(unit[0]) < 0.9 ? 0 : 1, 0];
    const lean = across.reduce((sum, value, axis) => sum + value * unit[axis], 0);
    const u = across.map((value, axis) => value - lean * unit[axis]), size = Math.hypot(...u);
    u.forEach((value, axis) => { u[axis] = value / size; });
    const v = [unit[1] * u[2] - unit[2] * u[1], unit[2] * u[0] - unit[0] * u[2], unit[0] * u[1] - unit[1] * u[0]];
    const dot = (one, other) => one[0] * other[0] + one[1] * other[1] + one[2] * other[2];
    const corners = implant.rim_ras_mm.map((corner) => [dot(corner, u), dot(corner, v)]);
    const reach = Math.max(...corners.map((corner) => Math.hypot(...corner)));
    const within = (a, b) => corners.every(([x, y], n) => {
      const [p, q] = corners[(n + 1) % corners.length];
      return (p - x) * (b - y) >= (q - y) * (a - x);
    });
    const spots = [];
    for (let a = -reach; a <= reach; a += step)
      for (let b = -reach; b <= reach; b += step) if (within(a, b)) spots.push([a, b]);
    for (let t = 0; t <= length; t += step)
      for (const [a, b] of spots) {
        const point = near.map((value, axis) => value + t * unit[axis] + a * u[axis] + b * v[axis]);
        const [i, j, k] = scene.index_from_ras.map((row) => Math.round(row[0] * point[0] + row[1] * point[1] + row[2] * point[2] + row[3]));
        const inside = [i, j, k].every((index, axis) => index >= 0 && index < scene.size[axis]);
        if (inside) labels.img[i + scene.size[0] * (j + scene.size[1] * k)] = IMPLANT;
      }
  };
  const goTo = (chosen) => {
    labels.img.set(untouched);
    for (const implant of scene.implants) {
      const shown = implant.side === chosen.side ? implant === chosen : implant.rank === 1;
      setOpacity(implant.mesh, shown ? 1 : 0);
      if (shown) paint(implant);
    }
    slices.scene.crosshairPos = slices.mm2frac(middleOf(chosen));
    draw();
  };

  const button = (words, group, act) => {
    const made = document.createElement("button");
    made.textContent = words;
    made.dataset.group = group;
    made.setAttribute("aria-pressed", "false");
    made.onclick = () => {
      const pressed = group !== words || made.getAttribute("aria-pressed") !== "true"; // alone in its group it is a switch
      buttons.querySelectorAll(`[data-group="${group}"]`).forEach((other) => other.setAttribute("aria-pressed", "false"));
      made.setAttribute("aria-pressed", String(pressed));
      act(pressed);
    };
    buttons.append(made);
    return made;
  };
  const choices = scene.implants.map((implant) => button(`${implant.side} candidate ${implant.rank}`, "implant", () => goTo(implant)));
  const planes = { "three planes": slices.sliceTypeMultiplanar, axial: slices.sliceTypeAxial, coronal: slices.sliceTypeCoronal, sagittal: slices.sliceTypeSagittal };
  const kinds = Object.entries(planes).map(([words, type]) => button(words, "plane", () => { slices.setSliceType(type); draw(); }));
  button("hide labels", "hide labels", (pressed) => { colour(!pressed); draw(); });
  button("solid bones", "solid bones", (pressed) => { bones.forEach((mesh) => setOpacity(mesh, pressed ? 1 : BONE_OPACITY)); draw(); });
  kinds[0].click();
  if (choices.length) choices[0].click();
  draw();
  document.getElementById("told").textContent = `Viewer: NiiVue (BSD-2-Clause). White: implant. Orange: canal and foramina. Dark red: other soft keep-outs. ${scene.implants.length} candidates.`;
  document.body.dataset.viewer = "ready"; // for tests
})().catch((error) => {
  document.getElementById("told").textContent = `The viewer could not start: ${error.message}`;
  document.body.dataset.viewer = "failed";
});
