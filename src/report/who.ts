/** Who holds a type or an object: the merged shortest paths from the roots, as text and for Graphviz. */
import type { WhoDocument } from './documents.ts';
import { finish, paint, printable, type Style } from './style.ts';
import { percentText, plural } from './units.ts';

export function whoText(document: WhoDocument, style: Style): string {
  const { type, count, paths } = printable(document);
  const lines = [plural(count, `object of type ${type}`, `objects of type ${type}`)];
  if (count > 0 && paths.length === 0) {
    lines.push('', 'Nothing that is alive holds any of them: they wait for the garbage collector.');
  }
  for (const path of paths) {
    lines.push('', `${paint(percentText(path.share), 'bold', style)} are held by`);
    for (const [depth, node] of path.nodes.entries()) {
      const label = node.label.startsWith('.') ? node.label.slice(1) : node.label;
      const shown =
        node.type === '' || label.startsWith(node.type) ? label : `${label}  ${paint(node.type, 'dim', style)}`;
      lines.push(`  ${'  '.repeat(depth)}${depth === 0 ? '' : '└─ '}${shown}`);
    }
  }
  return finish(lines, style);
}

/** The same paths as a graph in Graphviz's language; nodes at the same address are one. */
export function whoDot(document: WhoDocument): string {
  const { type, paths } = printable(document);
  const names = new Map<string, string>();
  const lines = [
    'digraph who {',
    `  label=${quoted(type)};`,
    '  rankdir=LR;',
    '  node [shape=box, fontname="sans-serif"];',
  ];
  const edges = new Map<string, string>();
  for (const path of paths) {
    let trail = '';
    let before: string | undefined;
    for (const [depth, node] of path.nodes.entries()) {
      trail += `\u0000${node.label}`;
      // Synthetic nodes have no address; they are the same where the path to them is the same.
      const key = Number(node.address) > 0 ? node.address : trail;
      let name = names.get(key);
      if (name === undefined) {
        name = `n${names.size}`;
        names.set(key, name);
        lines.push(`  ${name} [label=${quoted(depth === 0 ? node.label : node.type)}];`);
      }
      if (before !== undefined) {
        const share = depth === path.nodes.length - 1 ? ` (${percentText(path.share)})` : '';
        edges.set(`${before}>${name}>${node.label}`, `  ${before} -> ${name} [label=${quoted(node.label + share)}];`);
      }
      before = name;
    }
  }
  return `${[...lines, ...edges.values(), '}'].join('\n')}\n`;
}

function quoted(text: string): string {
  return `"${text.replace(/\\/g, '\\\\').replace(/"/g, '\\"')}"`;
}
