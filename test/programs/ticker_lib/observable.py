"""A subject with named events."""


class Observable:
    def __init__(self, *events):
        self.observers = {event: [] for event in events}

    def subscribe(self, event, callback):
        self.observers[event].append(callback)
        return callback

    def unsubscribe(self, event, callback):
        if callback in self.observers[event]:
            self.observers[event].remove(callback)

    def emit(self, event, *details):
        for callback in list(self.observers[event]):
            callback(*details)
