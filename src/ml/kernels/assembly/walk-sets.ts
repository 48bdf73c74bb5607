// The scoring kernel of trees in which nodes may ask for sets of categories: one vector, four trees at a time.

/**
 * Adds to `start`, in the order of the trees, the leaf each of `trees` trees sends the vector to. A tree of depth d is a heap
 * of 2^d nodes of 16 bytes, of which the first is unused; its 2^d leaves are f32. The vector's NaNs are already infinities.
 * A node is its threshold f32, the byte at which the vector holds the value compared u32, the byte at which it holds a
 * category's code u32, and the address of 256 bits u32, where the code's bit is 1 when it goes right. A node that compares
 * asks bits that are all 0; one that asks for categories has NaN as its threshold, which no value reaches. So neither needs
 * to know which of both it is.
 */
export function sumSets(start: f64, vector: usize, nodes: usize, leaves: usize, trees: i32, depth: i32): f64 {
  const nodeBytes = (<usize>16) << depth;
  const leafBytes = (<usize>4) << depth;
  const bias = (<usize>1) << depth;
  let sum = start;
  let t = 0;
  for (; t + 4 <= trees; t += 4) {
    let a: usize = 1;
    let b: usize = 1;
    let c: usize = 1;
    let d: usize = 1;
    const second = nodes + nodeBytes;
    const third = second + nodeBytes;
    const fourth = third + nodeBytes;
    for (let level = 0; level < depth; level++) {
      a = stepSet(a, nodes, vector);
      b = stepSet(b, second, vector);
      c = stepSet(c, third, vector);
      d = stepSet(d, fourth, vector);
    }
    sum += <f64>load<f32>(leaves + ((a - bias) << 2));
    leaves += leafBytes;
    sum += <f64>load<f32>(leaves + ((b - bias) << 2));
    leaves += leafBytes;
    sum += <f64>load<f32>(leaves + ((c - bias) << 2));
    leaves += leafBytes;
    sum += <f64>load<f32>(leaves + ((d - bias) << 2));
    leaves += leafBytes;
    nodes = fourth + nodeBytes;
  }
  for (; t < trees; t++) {
    let a: usize = 1;
    for (let level = 0; level < depth; level++) a = stepSet(a, nodes, vector);
    sum += <f64>load<f32>(leaves + ((a - bias) << 2));
    leaves += leafBytes;
    nodes += nodeBytes;
  }
  return sum;
}

function stepSet(node: usize, nodes: usize, vector: usize): usize {
  const at = nodes + (node << 4);
  const reaches = <usize>(load<f32>(vector + load<u32>(at, 4)) >= load<f32>(at));
  const code = load<u32>(vector + load<u32>(at, 8));
  const word = load<u32>(load<u32>(at, 12) + ((code >>> 5) << 2));
  return (node << 1) + (reaches | <usize>((word >>> (code & 31)) & 1));
}
