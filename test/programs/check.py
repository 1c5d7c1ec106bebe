#!/usr/bin/env python3
"""Verify that the programs do what their ground truth says.

  check.py [--python EXE ...] [--only ID,ID] [--write]

A child interpreter imports the program, takes its steps (`step(i)`, or the coroutine `tick(i)` inside a loop),
and counts at two lengths: objects of the leaking types, allocated blocks, resident bytes and open files, each
time after a collection. A leak must grow by what its truth states; a non-leak must have levelled off after
`check.plateau_after` steps. --write stores the figures under "measured".
"""
import argparse
import asyncio
import gc
import importlib.util
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.sysconf("SC_PAGE_SIZE")


def measure(truth):
    if not truth["check"].get("nogc"):
        gc.collect()
        gc.collect()
    names = set(truth["leaking_types"])
    found = 0
    for thing in gc.get_objects():
        if type(thing).__name__ in names:
            found += 1
    with open("/proc/self/statm") as f:
        resident = int(f.read().split()[1]) * PAGE
    return {"gc": found, "blocks": sys.getallocatedblocks(), "rss": resident, "fds": len(os.listdir("/proc/self/fd")),
            "frozen": gc.get_freeze_count()}


def inner(path):
    with open(path) as f:
        truth = json.load(f)
    os.environ["LEAK_SLEEP"] = "0"
    sys.path.insert(0, HERE)
    spec = importlib.util.spec_from_file_location(truth["id"], path[:-5] + ".py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[truth["id"]] = module
    spec.loader.exec_module(module)
    check = truth["check"]
    warm = check.get("warm", 200) if truth["is_leak"] else check.get("plateau_after", 1500)
    span = check.get("span", 400)
    points = []

    if hasattr(module, "tick"):
        async def through():
            for i in range(warm + 2 * span):
                if i in (warm, warm + span):
                    points.append(measure(truth))
                await module.tick(i)
                await asyncio.sleep(0)
            points.append(measure(truth))
        asyncio.new_event_loop().run_until_complete(through())
    else:
        for i in range(warm + 2 * span):
            if i in (warm, warm + span):
                points.append(measure(truth))
            module.step(i)
            if check.get("pace"):
                time.sleep(check["pace"])
        points.append(measure(truth))
    sys.stderr.write("\n@@" + json.dumps([points, span]) + "\n")
    sys.stderr.flush()
    os._exit(0)


def judge(truth, points, span):
    rates = {k: [(b[k] - a[k]) / span for a, b in zip(points, points[1:])] for k in points[0]}
    why = []
    if truth["is_leak"]:
        metric = truth["check"]["metric"]
        first, second = rates[metric]
        if min(first, second) <= 0 or not 0.5 <= second / first <= 2:
            why.append("%s does not grow evenly: %s" % (metric, rates[metric]))
        stated = truth["objects_per_step"]
        if metric == "gc" and stated and abs(second - stated) > 0.25 * stated:
            why.append("%.2f objects a step, stated %s" % (second, stated))
    else:
        for metric, slack in (("gc", 400), ("blocks", 800), ("rss", 1 << 20), ("fds", 3)):
            gained = points[-1][metric] - points[0][metric]
            if gained > max(slack, 0.02 * points[0][metric]):
                why.append("%s grew by %d" % (metric, gained))
    return {"per_step": {k: round(v[-1], 3) for k, v in rates.items()}, "ok": not why, **({"why": why} if why else {})}


def main():
    if len(sys.argv) == 3 and sys.argv[1] == "--inner":
        return inner(sys.argv[2])
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--python", action="append")
    ap.add_argument("--only", default="")
    ap.add_argument("--write", action="store_true")
    args = ap.parse_args()
    only = set(filter(None, args.only.split(",")))
    failed = 0
    for name in sorted(os.listdir(HERE)):
        if not name.endswith(".json") or (only and name[:-5] not in only):
            continue
        path = os.path.join(HERE, name)
        with open(path) as f:
            truth = json.load(f)
        for exe in args.python or [sys.executable]:
            env = {k: v for k, v in os.environ.items() if not k.startswith("LEAK_")}
            env.update(PYTHONHASHSEED="0", PYTHONDONTWRITEBYTECODE="1")
            out = subprocess.run([exe, os.path.abspath(__file__), "--inner", path], env=env, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, cwd=HERE, timeout=300).stderr.decode(errors="replace")
            if "@@" in out:
                points, span = json.loads(out.split("\n@@", 1)[1].splitlines()[0])
                result = judge(truth, points, span)
            else:
                result = {"ok": False, "why": [out[-600:]]}
            failed += not result["ok"]
            version = subprocess.check_output([exe, "-c", "import platform; print(platform.python_version())"]).decode().strip()
            print("%-4s %-22s %-8s %s %s" % ("ok" if result["ok"] else "FAIL", truth["id"], version, result.get("per_step"), result.get("why", "")), flush=True)
            if args.write:
                truth.setdefault("measured", {})[version] = result
                with open(path, "w") as f:
                    f.write(json.dumps(truth, indent=1) + "\n")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
