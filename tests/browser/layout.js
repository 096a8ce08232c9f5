// Given a selector: what inside it reaches out of the window, is cut off where nothing scrolls, or lies over other text.
async (root) => {
  for (const _ of "12") await new Promise(requestAnimationFrame); // charts follow the size of the window a frame later
  const found = [], frame = document.documentElement;
  if (frame.scrollWidth > innerWidth) found.push(`scrolls sideways: ${frame.scrollWidth} > ${innerWidth}`);

  const isForEars = (owner) => owner.closest(".sr, .skip, script, option") || getComputedStyle(owner).clipPath !== "none";
  const said = (text) => text.data.trim().slice(0, 60);
  const sidesOf = ({ left, right, top, bottom }) => ({ left, right, top, bottom });

  // Where what is inside an element may be seen; null inside an ellipsis, which no number may end with. What scrolls
  // hides nothing. Each is found once: many texts are inside the same elements.
  const clips = { text: new Map(), number: new Map() };
  const WINDOW = { left: 0, right: innerWidth, top: -Infinity, bottom: Infinity };
  const SCROLLED = { left: -Infinity, right: Infinity, top: -Infinity, bottom: Infinity };
  const clipInside = (element, kind) => {
    if (!element || element === frame) return WINDOW;
    if (!clips[kind].has(element)) clips[kind].set(element, clipOfOne(element, kind));
    return clips[kind].get(element);
  };
  const clipOfOne = (element, kind) => {
    const { overflowX, textOverflow } = getComputedStyle(element);
    if (overflowX === "auto" || overflowX === "scroll") return SCROLLED;
    if (textOverflow === "ellipsis" && kind === "text") return null;
    const outer = clipInside(element.parentElement, kind);
    if (overflowX === "visible" || !outer) return outer;
    const box = element.getBoundingClientRect();
    return { left: Math.max(box.left, outer.left), right: Math.min(box.right, outer.right),
      top: Math.max(box.top, outer.top), bottom: Math.min(box.bottom, outer.bottom) };
  };
  const clipOf = (owner) => {
    const clip = clipInside(owner, owner.closest(".number") ? "number" : "text");
    return clip === SCROLLED ? null : clip;
  };
  const isCut = (box, clip) =>
    box.left < clip.left - 1.5 || box.right > clip.right + 1.5 || box.top < clip.top - 4 || box.bottom > clip.bottom + 4;

  const lines = [], walker = document.createTreeWalker(document.querySelector(root), NodeFilter.SHOW_TEXT);
  for (let text; (text = walker.nextNode());) {
    const owner = text.parentElement;
    if (!text.data.trim() || !owner.checkVisibility({ visibilityProperty: true }) || isForEars(owner)) continue;
    const clip = clipOf(owner), range = document.createRange();
    range.selectNodeContents(text);
    for (const each of clip ? range.getClientRects() : []) {
      const box = sidesOf(each);
      if (box.right - box.left < 1) continue;
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
