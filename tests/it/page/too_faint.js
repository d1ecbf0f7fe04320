// Every contrast of a text with what is behind it that WCAG 2.2 does not allow at level AA.
const canvas = new OffscreenCanvas(1, 1).getContext('2d', {willReadFrequently: true});
const rgb = colour => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data]; };
const light = ([r, g, b]) => [r, g, b].map(c => c / 255)
  .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, at) => sum + c * [0.2126, 0.7152, 0.0722][at], 0);
const behind = node => { for (; node; node = node.parentElement) {
  const colour = rgb(getComputedStyle(node).backgroundColor); if (colour[3] === 255) return colour; } return [255, 255, 255]; };
const faint = []; let seen = 0;
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const node = walker.currentNode.parentElement, style = getComputedStyle(node);
  if (!walker.currentNode.data.trim() || ['SCRIPT', 'STYLE', 'NOSCRIPT'].includes(node.tagName)) continue;
  if (!node.checkVisibility() || node.disabled) continue;
  const text = node instanceof SVGElement ? style.fill : style.color;
  const [a, b] = [light(rgb(text)), light(behind(node))].sort((a, b) => b - a);
  const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
  seen += 1;
  if ((a + 0.05) / (b + 0.05) < (large ? 3 : 4.5)) faint.push(`${node.tagName}.${node.className} ${text}: ${(a + 0.05) / (b + 0.05)}`);
}
return {seen, faint: [...new Set(faint)], page: rgb(getComputedStyle(document.documentElement).backgroundColor)};
