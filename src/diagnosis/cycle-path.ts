/** The cycle that growing garbage hangs in, as people read it. */
import { findGarbage } from '../analysis/index.ts';
import { labelText } from '../heap/index.ts';
import type { Candidate } from './candidate.ts';
import type { Observation } from './observation.ts';

/** The commonest cycle of garbage that has the growing types in it: `['Panel', '.ok', 'Button', …, 'Panel']`. */
export function cyclePath(observation: Observation, candidate: Candidate): string[] {
  const { graph, tree } = observation.latest;
  const types = new Set(candidate.types.map(t => t.type));
  const form = findGarbage(graph, 20, tree).forms.find(f => f.nodes.some(n => types.has(graph.typeName(n))));
  if (form === undefined) return [];
  const path: string[] = [];
  const start = Math.max(
    0,
    form.nodes.findIndex(n => graph.typeName(n) === candidate.types[0]?.type),
  );
  for (let i = 0; i < form.nodes.length; i++) {
    const at = (start + i) % form.nodes.length;
    const label = labelText(graph, form.edges[at]);
    path.push(graph.typeName(form.nodes[at]));
    if (label !== '.__dict__') path.push(label);
  }
  path.push(graph.typeName(form.nodes[start]));
  return path.filter((part, i) => !(part === 'dict' && i > 0));
}
