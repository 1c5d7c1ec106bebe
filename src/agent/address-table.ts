/** From addresses to nodes: a hash table with open addressing in typed arrays; a Map ends at 16.7 million entries. */
export class AddressTable {
  #keys = new Float64Array(1 << 16);
  #values = new Uint32Array(1 << 16);
  #count = 0;

  /** The node at an address; 0 when there is none. */
  get(address: number): number {
    const mask = this.#keys.length - 1;
    for (let at = hash(address) & mask; ; at = (at + 1) & mask) {
      const key = this.#keys[at];
      if (key === address) return this.#values[at];
      if (key === 0) return 0;
    }
  }

  /** Adds an address that is not in the table; neither it nor the node may be 0. */
  add(address: number, node: number): void {
    if (++this.#count * 2 > this.#keys.length) this.#grow();
    this.#put(address, node);
  }

  #put(address: number, node: number): void {
    const mask = this.#keys.length - 1;
    let at = hash(address) & mask;
    while (this.#keys[at] !== 0) at = (at + 1) & mask;
    this.#keys[at] = address;
    this.#values[at] = node;
  }

  #grow(): void {
    const keys = this.#keys;
    const values = this.#values;
    this.#keys = new Float64Array(keys.length * 2);
    this.#values = new Uint32Array(keys.length * 2);
    for (let i = 0; i < keys.length; i++) if (keys[i] !== 0) this.#put(keys[i], values[i]);
  }
}

/** Objects begin at multiples of 16: neighbours in memory become neighbours in the table, far ones are spread. */
function hash(address: number): number {
  const block = Math.floor(address / 16);
  return (block ^ Math.imul(Math.floor(block / 0x10000), 0x9e3779b1)) >>> 0;
}
