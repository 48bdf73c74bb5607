"""A gated recurrent unit (Cho et al. 2014) over the events of each card, learned with numpy alone: reads raw files, writes the log-odds of every event."""

import json
import sys
import time

import numpy as np

task = json.loads(sys.argv[1])
HIDDEN, EPOCHS, BATCH, RATE = task["hidden"], task["epochs"], task["batch"], task["rate"]
random = np.random.default_rng(task["seed"])


def sigmoid(z):
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def forward(p, x):
    """x: steps × cards × inputs. Log-odds of each event, and what the way back needs."""
    steps, cards, _ = x.shape
    h = np.zeros((cards, HIDDEN), np.float32)
    kept, logits = [], np.empty((steps, cards), np.float32)
    projected = x @ p["W"] + p["b"]
    for t in range(steps):
        gates = sigmoid(projected[t][:, : 2 * HIDDEN] + h @ p["U"])
        z, r = gates[:, :HIDDEN], gates[:, HIDDEN:]
        reset = r * h
        c = np.tanh(projected[t][:, 2 * HIDDEN :] + reset @ p["V"])
        before, h = h, z * h + (1 - z) * c
        kept.append((before, z, r, reset, c, h))
        logits[t] = h @ p["w"] + p["w0"]
    return logits, kept


def backward(p, x, kept, slope):
    """Gradients, given the loss's slope by each logit."""
    g = {name: np.zeros_like(value) for name, value in p.items()}
    carried = np.zeros((x.shape[1], HIDDEN), np.float32)
    inner = np.empty((x.shape[0], x.shape[1], 3 * HIDDEN), np.float32)
    for t in range(x.shape[0] - 1, -1, -1):
        before, z, r, reset, c, h = kept[t]
        g["w"] += slope[t] @ h
        g["w0"] += slope[t].sum()
        dh = carried + slope[t][:, None] * p["w"]
        dc = dh * (1 - z) * (1 - c * c)
        dreset = dc @ p["V"].T
        dgates = np.concatenate([dh * (before - c) * z * (1 - z), dreset * before * r * (1 - r)], 1)
        g["V"] += reset.T @ dc
        g["U"] += before.T @ dgates
        inner[t] = np.concatenate([dgates, dc], 1)
        carried = dh * z + dreset * r + dgates @ p["U"].T
    flat = inner.reshape(-1, 3 * HIDDEN)
    g["W"] = x.reshape(-1, x.shape[2]).T @ flat
    g["b"] = flat.sum(0)
    return g


def loss(p, x, y, weight):
    logits, kept = forward(p, x)
    chance = sigmoid(logits)
    value = -(weight * (y * np.log(chance + 1e-9) + (1 - y) * np.log(1 - chance + 1e-9))).sum() / weight.sum()
    return value, backward(p, x, kept, (weight * (chance - y) / weight.sum()).astype(np.float32))


def start(inputs):
    draw = lambda *shape: (random.normal(0, 1 / np.sqrt(shape[0]), shape)).astype(np.float32)
    return {
        "W": draw(inputs, 3 * HIDDEN),
        "b": np.concatenate([np.ones(HIDDEN), np.zeros(2 * HIDDEN)]).astype(np.float32),
        "U": draw(HIDDEN, 2 * HIDDEN),
        "V": draw(HIDDEN, HIDDEN),
        "w": draw(HIDDEN),
        "w0": np.full(1, -2, np.float32),
    }


def batches():
    """Cards of like length together, so that little is padding; every list of cards once."""
    order = np.argsort(lengths, kind="stable")
    return [order[i : i + BATCH] for i in range(0, len(order), BATCH)]


def padded(cards, columns):
    """Steps × cards of some columns, zero where a card has ended."""
    steps = int(lengths[cards].max())
    out = [np.zeros((steps, len(cards)) + column.shape[1:], np.float32) for column in columns]
    for place, card in enumerate(cards):
        rows = slice(offsets[card], offsets[card + 1])
        for into, column in zip(out, columns):
            into[: lengths[card], place] = column[rows]
    return out


if task.get("check"):
    # The slopes by hand against those of differences: run by hand, with {"check": true, …}.
    p = {name: value.astype(np.float64) for name, value in start(3).items()}
    x, y = random.normal(size=(5, 4, 3)), (random.random((5, 4)) < 0.3).astype(float)
    weight = np.ones((5, 4))
    _, g = loss(p, x, y, weight)
    for name in p:
        at = tuple(0 for _ in p[name].shape)
        step = 1e-3
        ends = []
        for sign in (1, -1):
            moved = {key: value.copy() for key, value in p.items()}
            moved[name][at] += sign * step
            ends.append(loss(moved, x, y, weight)[0])
        print(name, float(g[name][at]), (ends[0] - ends[1]) / (2 * step))
    sys.exit()

began = time.process_time()
offsets = np.fromfile(task["offsets"], np.int32)
lengths = np.diff(offsets)
x = np.fromfile(task["inputs"], np.float32).reshape(-1, task["columns"])
y = np.fromfile(task["labels"], np.uint8).astype(np.float32)
learned = np.fromfile(task["learned"], np.uint8).astype(bool)
center, spread = x[learned].mean(0), x[learned].std(0) + 1e-6
x = np.clip((x - center) / spread, -5, 5).astype(np.float32)
weight = np.where(learned, np.where(y == 1, task["fraudWeight"], 1), 0).astype(np.float32)

p = start(x.shape[1])
first = {name: np.zeros_like(value) for name, value in p.items()}
second = {name: np.zeros_like(value) for name, value in p.items()}
lists, step = batches(), 0
for epoch in range(EPOCHS):
    total = 0
    for at in random.permutation(len(lists)):
        bx, by, bw = padded(lists[at], (x, y, weight))
        if bw.sum() == 0:
            continue
        value, g = loss(p, bx, by, bw)
        total += value
        step += 1
        norm = np.sqrt(sum((slope**2).sum() for slope in g.values()))
        # Adam (Kingma & Ba 2015), slopes clipped, falling rate.
        rate = RATE * (1 - epoch / EPOCHS)
        for name in p:
            slope = g[name] * min(1, 1 / (norm + 1e-9))
            first[name] = 0.9 * first[name] + 0.1 * slope
            second[name] = 0.999 * second[name] + 0.001 * slope**2
            p[name] = p[name] - rate * (first[name] / (1 - 0.9**step)) / (np.sqrt(second[name] / (1 - 0.999**step)) + 1e-8)

out = np.zeros(len(x), np.float32)
for cards in lists:
    (bx,) = padded(cards, (x,))
    logits, _ = forward(p, bx)
    for place, card in enumerate(cards):
        out[offsets[card] : offsets[card + 1]] = logits[: lengths[card], place]
out.tofile(task["predictions"])
parameters = int(sum(np.size(value) for value in p.values()))
print(json.dumps({"cpuSeconds": time.process_time() - began, "loss": float(total / len(lists)), "parameters": parameters}))
