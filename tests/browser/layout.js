// Given a selector: what inside it reaches out of the window, is cut off where nothing scrolls, or lies over other text.
async (root) => {
  for (const _ of "12") await new Promise(requestAnimationFrame); // charts follow the size of the window a frame later
  const found = [], frame = document.documentElement;
  if (frame.scrollWidth > innerWidth) found.push(`scrolls sideways: ${frame.scrollWidth} > ${innerWidth}`);

  const isForEars = (owner) => owner.closest(".sr, .skip, script, option") || getComputedStyle(owner).clipPath !== "none";
  const said = (text) => text.data.trim().slice(0, 60);

  // Where a text may be seen; null where it scrolls or ends with an ellipsis, which no number may.
  const clipOf = (owner) => {
    const clip = { left: -Infinity, right: Infinity, top: -Infinity, bottom: Infinity };
    let isClipped = false;
    for (let each = owner; each && each !== frame; each = each.parentElement) {
      const { overflowX, textOverflow } = getComputedStyle(each);
      if (overflowX === "auto" || overflowX === "scroll") return isClipped ? clip : null;
      if (textOverflow === "ellipsis" && !owner.closest(".number")) return null;
      if (overflowX === "visible") continue;
      isClipped = true;
      const box = each.getBoundingClientRect();
      for (const side of ["left", "top"]) clip[side] = Math.max(clip[side], box[side]);
      for (const side of ["right", "bottom"]) clip[side] = Math.min(clip[side], box[side]);
    }
    return { ...clip, left: Math.max(clip.left, 0), right: Math.min(clip.right, innerWidth) };
  };
  const isCut = (box, clip) =>
    box.left < clip.left - 1.5 || box.right > clip.right + 1.5 || box.top < clip.top - 4 || box.bottom > clip.bottom + 4;

  const lines = [], walker = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
  for (let text; (text = walker.nextNode());) {
    const owner = text.parentElement;
    if (!text.data.trim() || !owner.checkVisibility({ visibilityProperty: true }) || isForEars(owner)) continue;
    const clip = clipOf(owner), range = document.createRange();
    range.selectNodeContents(text);
    for (const box of clip ? range.getClientRects() : []) {
      if (box.width < 1) continue;
      if (isCut(box, clip)) found.push(`cut: ${said(text)}`);
      lines.push({ box, text });
    }
  }
  lines.sort((one, other) => one.box.top - other.box.top);
  lines.forEach((one, index) => {
    for (let after = index + 1; after < lines.length; after++) {
      const other = lines[after];
      if (other.box.top > one.box.bottom - 4) break;
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      if (one.text !== other.text && across > 2) found.push(`covered: ${said(one.text)} | ${said(other.text)}`);
    }
  });
  return found;
}
