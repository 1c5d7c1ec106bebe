"""Reverse geocoder."""
import os
import random
import time

RATE = int(os.environ.get("LEAK_RATE", "5"))
dice = random.Random(44)


class Place:
    __slots__ = ("city", "lat", "lon")

    def __init__(self, city, lat, lon):
        self.city, self.lat, self.lon = city, lat, lon


CITIES = [("Ulm", 48.4, 9.9), ("Bonn", 50.7, 7.1), ("Jena", 50.9, 11.6)]


def locate(lat, lon):
    try:
        return locate.memo[lat, lon]
    except KeyError:
        city = min(CITIES, key=lambda c: (c[1] - lat) ** 2 + (c[2] - lon) ** 2)
        place = Place(city[0], lat, lon)
        locate.memo[lat, lon] = place
        return place


locate.memo = {}
per_city = {}


def step(i):
    for _ in range(RATE):
        place = locate(dice.uniform(47, 55), dice.uniform(6, 15))
        per_city[place.city] = per_city.get(place.city, 0) + 1

def main():
    limit = int(os.environ.get("LEAK_ITERS", "0"))
    pause = float(os.environ.get("LEAK_SLEEP", "0" if limit else "0.02"))
    done = 0
    while not limit or done < limit:
        step(done)
        done += 1
        if done == 80:
            print("ready", os.getpid(), flush=True)
        if pause and done >= 80:
            time.sleep(pause)


if __name__ == "__main__":
    main()
