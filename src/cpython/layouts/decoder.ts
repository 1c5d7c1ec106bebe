/** What a decoder of one built-in layout is. */
import type { HeapBuilder } from '../builder.ts';
import type { TypePlan } from '../types.ts';

/**
 * Appends the references of the object at `address` to the builder and sets its size and length columns.
 * The size column holds the default size (header, basic size, items) when it is called.
 */
export type Decoder = (heap: HeapBuilder, address: number, node: number, plan: TypePlan) => void;
