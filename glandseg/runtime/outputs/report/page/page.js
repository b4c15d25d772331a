"use strict";
// Shows what the scripts before this one hold: tiles, glands, measurements and the record. Map px are px at
// the model's um/px; outlines and centroids are in them.
(async () => {
  const OUTLINE = "#56b4e9", CASING = "rgba(0, 20, 45, 0.75)", CHOSEN = "#f0e442", UNREAD = "#d55e00", SUGGESTED = "#e69f00";
  const ROWS_PER_PAGE = 50, VECTORS_MAX = 1500, PLAN_PX = 4096, BINS = 24;
  const byId = (id) => document.getElementById(id);
  const readJson = (id) => JSON.parse(byId(id).textContent);
  const layout = readJson("layout"), record = readJson("record");
  const columns = layout.columns.map(([name, label, decimals]) => ({ name, label, decimals }));
  const columnOf = Object.fromEntries(columns.map((column, index) => [column.name, index]));
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;

  const [rows, outlines] = await Promise.all([unpack("rows"), unpack("outlines")]);
  const values = new Float32Array(rows.buffer, 0, layout.rows * columns.length);
  const valueOf = (gland, name) => values[gland * columns.length + columnOf[name]];
  const boxes = new Float32Array(4 * layout.outlines);  // left, top, right, bottom of each gland
  const glands = decodeOutlines(outlines, layout.outlines);  // rings of each
  const isServed = location.protocol.startsWith("http");
  const tiles = isServed ? await fetchTiles() : embeddedTiles();
  let plan = null, chosen = -1, order = Uint32Array.from({ length: layout.rows }, (_, index) => index);
  let firstRow = 0, sortedBy = null, descending = false;
  const viewer = openViewer(tiles);

  writeFacts();
  drawHistograms();
  writeHead();
  writeRows();
  bindTools();
  document.body.dataset.ready = "true";

  async function unpack(id) {
    const bytes = Uint8Array.from(atob(byId(id).textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Uint8Array(await new Response(stream).arrayBuffer());
  }

  function decodeOutlines(bytes, count) {
    let place = 0;
    const next = () => {
      let value = 0, factor = 1, byte;
      do {
        byte = bytes[place++];
        value += (byte & 127) * factor;
        factor *= 128;
      } while (byte & 128);
      return value;
    };
    const signed = () => { const value = next(); return value % 2 ? -(value + 1) / 2 : value / 2; };
    const found = [];
    for (let gland = 0; gland < count; gland++) {
      const rings = [], box = boxes.subarray(4 * gland, 4 * gland + 4);
      box.set([Infinity, Infinity, -Infinity, -Infinity]);
      for (let ring = next(); ring > 0; ring--) {
        const points = new Float32Array(2 * next());
        let x = 0, y = 0;
        for (let index = 0; index < points.length; index += 2) {
          x += signed();
          y += signed();
          points[index] = x / layout.steps_per_px;
          points[index + 1] = y / layout.steps_per_px;
          box[0] = Math.min(box[0], points[index]);
          box[1] = Math.min(box[1], points[index + 1]);
          box[2] = Math.max(box[2], points[index]);
          box[3] = Math.max(box[3], points[index + 1]);
        }
        rings.push(points);
      }
      found.push(rings);
    }
    return found;
  }

  function embeddedTiles() {
    const jpegs = new Map();
    for (const script of document.querySelectorAll("script.tile")) jpegs.set(script.dataset.place, script);
    const placeOf = (level, x, y) => `${layout.tiles.levels - 1 - level}/${x}/${y}`;
    return {
      ...layout.tiles,
      exists: (level, x, y) => jpegs.has(placeOf(level, x, y)),
      url: (level, x, y) => "data:image/jpeg;base64," + jpegs.get(placeOf(level, x, y)).textContent,
    };
  }

  async function fetchTiles() {
    const served = await (await fetch("slide.json")).json();
    return { ...served, exists: () => true, url: (level, x, y) => `tile/${served.levels - 1 - level}/${x}/${y}` };
  }

  function openViewer(shown) {
    const source = new OpenSeadragon.TileSource({
      width: shown.width, height: shown.height, tileSize: shown.tile, minLevel: 0, maxLevel: shown.levels - 1,
    });
    const isInside = source.tileExists.bind(source);
    source.tileExists = (level, x, y) => isInside(level, x, y) && shown.exists(level, x, y);
    source.getTileUrl = (level, x, y) => shown.url(level, x, y);
    source.getTileHashKey = (level, x, y) => `${level}/${x}/${y}`;
    const opened = OpenSeadragon({
      id: "viewer", tileSources: source, showNavigationControl: false, drawer: "canvas", maxZoomPixelRatio: 8,
      gestureSettingsMouse: { clickToZoom: false }, animationTime: 0.5, visibilityRatio: 0.2,
      crossOriginPolicy: false, imageSmoothingEnabled: true,
    });
    opened.canvas.setAttribute("role", "application");
    opened.canvas.setAttribute("aria-label", "Slide: arrow keys move, plus and minus zoom, 0 shows it whole");
    const overlay = document.createElement("canvas");
    overlay.style.cssText = "position: absolute; inset: 0; pointer-events: none";
    overlay.setAttribute("aria-hidden", "true");
    opened.canvas.appendChild(overlay);
    for (const event of ["update-viewport", "open", "resize"]) opened.addHandler(event, () => drawOutlines(overlay));
    opened.addHandler("canvas-click", (event) => { if (event.quick) pick(event.position); });
    opened.addHandler("open", addProbability);
    return opened;
  }

  // Viewport coordinates are shares of the finest level's width.
  function pxPerViewport() { return tiles.width * tiles.um_per_px / layout.um_per_px; }

  function addProbability() {
    const share = layout.um_per_px / tiles.um_per_px / tiles.width;
    viewer.addSimpleImage({
      url: "data:image/png;base64," + byId("probability").textContent,
      x: 0, y: 0, width: layout.width_px * share, opacity: 0, success: showLayers,
    });
  }

  function showLayers() {
    const [slide, probability] = [0, 1].map((index) => viewer.world.getItemAt(index));
    if (slide) slide.setOpacity(byId("show-slide").checked ? 1 : 0);
    if (probability) probability.setOpacity(byId("show-probability").checked ? byId("opacity").value / 100 : 0);
    viewer.forceRedraw();
  }

  function drawOutlines(overlay) {
    if (!viewer.world.getItemCount()) return;
    const size = viewer.viewport.getContainerSize(), ratio = window.devicePixelRatio || 1;
    overlay.width = Math.round(size.x * ratio);
    overlay.height = Math.round(size.y * ratio);
    overlay.style.width = size.x + "px";
    overlay.style.height = size.y + "px";
    const pen = overlay.getContext("2d"), view = viewer.viewport.getBounds(true);
    const scale = size.x * ratio / (view.width * pxPerViewport());
    const left = view.x * pxPerViewport(), top = view.y * pxPerViewport();
    const right = left + overlay.width / scale, bottom = top + overlay.height / scale;
    drawScaleBar(scale / ratio);
    if (!byId("show-outlines").checked) return;
    const inView = findInView(left, top, right, bottom);
    pen.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
    if (inView.length > VECTORS_MAX) {
      pen.drawImage(plan ??= drawPlan(), 0, 0, layout.width_px, layout.height_px);
    } else {
      const path = new Path2D();
      for (const index of inView) if (index !== chosen) trace(path, glands[index]);
      strokeTwice(pen, path, scale, ratio, OUTLINE, 1.6);
    }
    if (chosen >= 0 && glands[chosen]) {
      const path = new Path2D();
      trace(path, glands[chosen]);
      strokeTwice(pen, path, scale, ratio, CHOSEN, 3);
    }
    drawRegions(pen, scale, ratio);
  }

  function findInView(left, top, right, bottom) {
    const inView = [];
    for (let index = 0, at = 0; at < boxes.length; index++, at += 4) {
      if (boxes[at + 2] >= left && boxes[at] <= right && boxes[at + 3] >= top && boxes[at + 1] <= bottom) inView.push(index);
    }
    return inView;
  }

  // All outlines in one image: where too many glands are in view to draw each.
  function drawPlan() {
    const drawn = document.createElement("canvas"), scale = PLAN_PX / Math.max(layout.width_px, layout.height_px);
    drawn.width = Math.ceil(layout.width_px * scale);
    drawn.height = Math.ceil(layout.height_px * scale);
    const pen = drawn.getContext("2d");
    pen.scale(scale, scale);
    pen.strokeStyle = OUTLINE;
    pen.lineWidth = 1.5 / scale;
    for (const gland of glands) {
      const path = new Path2D();
      trace(path, gland);
      pen.stroke(path);
    }
    return drawn;
  }

  function trace(path, rings) {
    for (const points of rings) {
      path.moveTo(points[0], points[1]);
      for (let index = 2; index < points.length; index += 2) path.lineTo(points[index], points[index + 1]);
      path.closePath();
    }
  }

  function strokeTwice(pen, path, scale, ratio, color, width) {
    pen.lineJoin = "round";
    for (const [style, line] of [[CASING, width + 2], [color, width]]) {
      pen.strokeStyle = style;
      pen.lineWidth = line * ratio / scale;
      pen.stroke(path);
    }
  }

  function drawRegions(pen, scale, ratio) {
    pen.lineWidth = 2 * ratio / scale;
    pen.strokeStyle = SUGGESTED;
    pen.setLineDash([8 * ratio / scale, 4 * ratio / scale]);
    for (const region of layout.suggestions) {
      pen.strokeRect(...["left", "top", "width", "height"].map((name) => region[`${name}_l0`] / layout.l0_per_px));
    }
    pen.setLineDash([]);
    pen.strokeStyle = UNREAD;
    for (const geometry of layout.unread) {
      const polygons = geometry.type === "Polygon" ? [geometry.coordinates] : geometry.coordinates;
      for (const ring of polygons.flat()) {
        pen.beginPath();
        for (const [x, y] of ring) pen.lineTo(x / layout.l0_per_px, y / layout.l0_per_px);
        pen.closePath();
        pen.stroke();
      }
    }
  }

  function drawScaleBar(screenPxPerPx) {
    const umPerScreenPx = layout.um_per_px / screenPxPerPx, room = 200 * umPerScreenPx;
    const power = 10 ** Math.floor(Math.log10(room));
    const length = Math.max(...[1, 2, 5].map((step) => step * power).filter((step) => step <= room));
    byId("bar").style.width = length / umPerScreenPx + "px";
    byId("bar-label").textContent = length >= 1000 ? `${length / 1000} mm` : `${+length.toPrecision(1)} um`;
  }

  function pick(position) {
    const point = viewer.viewport.viewerElementToViewportCoordinates(position);
    const x = point.x * pxPerViewport(), y = point.y * pxPerViewport();
    const hit = findInView(x, y, x, y).find((gland) => isInside(glands[gland][0], x, y));
    if (hit !== undefined) choose(hit, false);
  }

  // Inside the outer contour: a click into a lumen is one on the gland.
  function isInside(points, x, y) {
    let inside = false;
    for (let index = 0, last = points.length - 2; index < points.length; last = index, index += 2) {
      const [x1, y1, x2, y2] = [points[index], points[index + 1], points[last], points[last + 1]];
      if (y1 > y !== y2 > y && x < (x2 - x1) * (y - y1) / (y2 - y1) + x1) inside = !inside;
    }
    return inside;
  }

  function choose(gland, flies) {
    chosen = gland;
    const row = order.indexOf(gland);
    if (row >= 0) {
      firstRow = Math.floor(row / ROWS_PER_PAGE) * ROWS_PER_PAGE;
      writeRows();
      byId("table").querySelector("tr.chosen").scrollIntoView({ block: "nearest" });
    }
    if (flies) fly(gland);
    viewer.forceRedraw();
  }

  function fly(gland) {
    const um = ["centroid_x_um", "centroid_y_um"].map((name) => valueOf(gland, name) / layout.um_per_px);
    const box = glands[gland] ? boxes.subarray(4 * gland, 4 * gland + 4)
      : [um[0] - 50, um[1] - 50, um[0] + 50, um[1] + 50];
    flyTo([box[0], box[1], box[2] - box[0], box[3] - box[1]], 4);
  }

  // Shows a rectangle in map px, its longer side taking 1 / room of the view.
  function flyTo([left, top, width, height], room) {
    const side = room * Math.max(width, height) / pxPerViewport();
    const [x, y] = [left + width / 2, top + height / 2].map((value) => value / pxPerViewport());
    viewer.viewport.fitBounds(new OpenSeadragon.Rect(x - side / 2, y - side / 2, side, side));
    byId("viewer").scrollIntoView({ block: "nearest" });
  }

  function writeFacts() {
    document.title = `${layout.name} - glandseg report`;
    byId("title").textContent = layout.name;
    byId("use").textContent = layout.use;
    const result = record.result, tissue = result.tissue_mm2;
    writeList(byId("summary"), [
      ["Glands", result.glands.toLocaleString("en")],
      ["Area of glands", `${result.gland_mm2.toFixed(3)} mm²`],
      ["Tissue", `${tissue.toFixed(3)} mm²`],
      ["Glands per mm² of tissue", tissue > 0 ? (result.glands / tissue).toFixed(2) : "-"],
      ["Share of tissue", tissue > 0 ? `${(100 * result.gland_mm2 / tissue).toFixed(1)} %` : "-"],
      ["Model", `${record.model.card.name}, learned on ${record.model.card.tissue}`],
      ["um/px of the slide", `${record.slide.um_per_px} (${record.slide.um_per_px_source})`],
    ]);
    if (result.warnings.length) {
      const list = document.createElement("ul");
      for (const warning of result.warnings) list.appendChild(document.createElement("li")).textContent = warning;
      byId("warnings").append(list);
      byId("warnings").hidden = false;
    }
    byId("shown").textContent = describeShown();
    byId("suggestions").hidden = !layout.suggestions.length;
    layout.suggestions.forEach((region, rank) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = `${rank + 1} (${(100 * region.uncertainty).toFixed(1)} % uncertain)`;
      button.addEventListener("click", () => flyTo(["left", "top", "width", "height"].map((name) => region[`${name}_l0`] / layout.l0_per_px), 1.2));
      byId("suggestions").append(button);
    });
    writeRecord();
  }

  function describeShown() {
    const parts = [`The slide is shown at ${+tiles.um_per_px.toPrecision(3)} um/px`];
    if (!isServed) parts[0] += "; `glandseg view` shows it in full";
    if (layout.rows < layout.glands) parts.push(`table: the first ${plural(layout.rows, "gland")}, all are in the CSV`);
    if (layout.outlines < layout.glands) parts.push(`outlines: those of the first ${plural(layout.outlines, "gland")}`);
    return parts.join("; ") + ".";
  }

  function writeList(list, facts) {
    for (const [name, value] of facts) {
      list.appendChild(document.createElement("dt")).textContent = name;
      list.appendChild(document.createElement("dd")).textContent = value;
    }
  }

  function writeRecord() {
    const isGroup = (value) => value && typeof value === "object" && !Array.isArray(value);
    const show = (value) => Array.isArray(value) ? value.map(show).join("; ") || "none"
      : isGroup(value) ? JSON.stringify(value) : value === null ? "none" : String(value);
    const flat = (group, prefix = "") => Object.entries(group).flatMap(([name, value]) =>
      isGroup(value) ? flat(value, `${prefix}${name}.`) : [[prefix + name, show(value)]]);
    const general = Object.entries(record).filter(([, value]) => !isGroup(value));
    const groups = [["general", Object.fromEntries(general)], ...Object.entries(record).filter(([, value]) => isGroup(value))];
    for (const [name, group] of groups) {
      const details = document.createElement("details"), list = document.createElement("dl");
      details.appendChild(document.createElement("summary")).textContent = name[0].toUpperCase() + name.slice(1);
      writeList(list, flat(group));
      details.append(list);
      byId("record-view").append(details);
    }
  }

  function drawHistograms() {
    const wanted = [["area_um2", "Area, um²"], ["eccentricity", "Eccentricity"], ["lumen_fraction", "Lumen fraction"]];
    for (const [name, label] of wanted) {
      const all = Array.from({ length: layout.rows }, (_, gland) => valueOf(gland, name)).filter(Number.isFinite);
      if (all.length) byId("histograms").append(drawHistogram(label, Float32Array.from(all).sort(), name === "area_um2"));
    }
  }

  function drawHistogram(label, sorted, isOpen) {
    const top = isOpen ? sorted[Math.floor(0.98 * (sorted.length - 1))] : 1, counts = new Array(BINS).fill(0);
    for (const value of sorted) counts[Math.min(BINS - 1, Math.max(0, Math.floor(value / (top || 1) * BINS)))]++;
    const most = Math.max(...counts), [width, height, base] = [320, 110, 92], step = width / BINS;
    const median = sorted[Math.floor(sorted.length / 2)], round = (value) => +value.toPrecision(3);
    const svg = makeSvg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label":
      `${label}: median ${round(median)}, from ${round(sorted[0])} to ${round(sorted[sorted.length - 1])}` });
    counts.forEach((count, bin) => {
      const tall = count / most * (base - 14);
      svg.append(makeSvg("rect", { x: bin * step + 0.5, y: base - tall, width: step - 1, height: tall }));
    });
    svg.append(makeSvg("line", { x1: 0, x2: width, y1: base, y2: base }));
    const upper = (isOpen && sorted[sorted.length - 1] > top ? "≥ " : "") + round(top);
    for (const [x, anchor, text] of [[0, "start", "0"], [width / 2, "middle", `median ${round(median)}`], [width, "end", upper]]) {
      const line = makeSvg("text", { x, y: height - 4, "text-anchor": anchor });
      line.textContent = text;
      svg.append(line);
    }
    const figure = document.createElement("figure");
    figure.appendChild(document.createElement("figcaption")).textContent = `${label} (${plural(sorted.length, "gland")}, at most ${most} a bar)`;
    figure.append(svg);
    return figure;
  }

  function makeSvg(name, attributes) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }

  function writeHead() {
    const line = byId("table").tHead.insertRow();
    for (const column of [null, ...columns]) {
      const cell = document.createElement("th"), button = document.createElement("button");
      cell.scope = "col";
      button.type = "button";
      button.textContent = column ? column.label : "Number";
      button.addEventListener("click", () => sort(column, cell));
      cell.append(button);
      line.append(cell);
    }
  }

  function sort(column, cell) {
    descending = sortedBy === cell ? !descending : false;
    sortedBy = cell;
    const key = column ? (gland) => valueOf(gland, column.name) : (gland) => gland;
    order.sort((a, b) => { // what is not finite comes last either way
      const one = key(a), other = key(b), sign = descending ? -1 : 1;
      return isFinite(one) - isFinite(other) ? isFinite(other) - isFinite(one) : (one - other) * sign || a - b;
    });
    for (const other of byId("table").tHead.rows[0].cells) other.removeAttribute("aria-sort");
    cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    firstRow = 0;
    writeRows();
  }

  function writeRows() {
    const body = document.createElement("tbody");
    for (const gland of order.subarray(firstRow, firstRow + ROWS_PER_PAGE)) {
      const line = body.insertRow(), button = document.createElement("button");
      button.type = "button";
      button.textContent = gland + 1;
      button.setAttribute("aria-label", `Show gland ${gland + 1}`);
      button.addEventListener("click", () => choose(gland, true));
      line.insertCell().append(button);
      line.className = gland === chosen ? "chosen" : "";
      for (const column of columns) {
        const value = valueOf(gland, column.name);
        line.insertCell().textContent = Number.isFinite(value) ? value.toFixed(column.decimals) : "";
      }
    }
    byId("table").tBodies[0].replaceWith(body);
    const last = Math.min(firstRow + ROWS_PER_PAGE, layout.rows);
    byId("page").textContent = layout.rows ? `${firstRow + 1} to ${last} of ${layout.rows}` : "no gland";
    byId("previous").disabled = firstRow === 0;
    byId("next").disabled = last >= layout.rows;
  }

  function bindTools() {
    const turn = (rows) => { firstRow += rows; writeRows(); };
    byId("previous").addEventListener("click", () => turn(-ROWS_PER_PAGE));
    byId("next").addEventListener("click", () => turn(ROWS_PER_PAGE));
    byId("zoom-in").addEventListener("click", () => viewer.viewport.zoomBy(2));
    byId("zoom-out").addEventListener("click", () => viewer.viewport.zoomBy(0.5));
    addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((details) => { details.open = true; }));
    byId("home").addEventListener("click", () => viewer.viewport.goHome());
    for (const id of ["show-slide", "show-outlines", "show-probability", "opacity"]) byId(id).addEventListener("input", showLayers);
  }
})();
