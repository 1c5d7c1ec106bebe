"""A pandas session: frames with text, dates and categories, groups, joins, and object arrays."""
import io

import numpy as np
import observe
import pandas as pd

n = 5000
frame = pd.DataFrame(
    {
        "id": np.arange(n),
        "name": ["name %d" % i for i in range(n)],
        "group": pd.Categorical(["g%d" % (i % 7) for i in range(n)]),
        "when": pd.date_range("2020-01-01", periods=n, freq="h"),
        "value": np.random.default_rng(1).normal(size=n),
        "mixed": [None if i % 5 == 0 else [i] for i in range(n)],
    }
)
grouped = frame.groupby("group", observed=True)["value"].agg(["mean", "max"])
joined = frame.merge(grouped.reset_index(), on="group")
pivot = frame.pivot_table(index=frame["when"].dt.month, columns="group", values="value", observed=True)
csv = pd.read_csv(io.StringIO(frame.head(200).to_csv()))
rolling = frame["value"].rolling(24).mean()
indexed = frame.set_index(["group", "id"]).sort_index()
objects = np.array([object() for _ in range(1000)], dtype=object)
views = [objects[::2], objects.reshape(10, 100), frame["value"].to_numpy()[10:20]]
structured = np.zeros(10, dtype=[("a", "i4"), ("b", "O")])
for i in range(10):
    structured["b"][i] = [i]
observe.barrier()
