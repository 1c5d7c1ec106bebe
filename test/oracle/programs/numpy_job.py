"""A numpy job: big arrays, views on them, object arrays, random state, linear algebra, an iterator half used."""
import numpy as np
import observe

rng = np.random.default_rng(7)
big = rng.normal(size=(1000, 1000))
views = [big[i] for i in range(200)] + [big.T, big[::2, ::3], big.ravel()]
product = np.linalg.svd(big[:100, :100])
objects = np.array([{"n": i} for i in range(2000)], dtype=object)
grid = objects.reshape(40, 50)[::2]
record = np.rec.array([(1, 2.0, "x"), (3, 4.0, "y")], dtype=[("a", "i8"), ("b", "f8"), ("c", "U5")])
masked = np.ma.masked_less(big[0], 0)
iterator = iter(np.nditer([big[0], big[1]]))
next(iterator)
flat = big.flat
next(flat)
memory = np.frombuffer(bytearray(1000), dtype="u1")
poly = np.polynomial.Polynomial([1, 2, 3])
function = np.vectorize(lambda x: x + 1)
function(np.arange(3))
universal = np.frompyfunc(lambda a, b: a, 2, 1)
universal(objects[:3], objects[:3])
observe.barrier()
