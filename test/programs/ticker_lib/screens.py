"""What a user sees."""


class Screen:
    def __init__(self, user):
        self.user = user
        self.prices = []
        self.visible = True

    def attach(self, subject):
        self.subject = subject
        subject.subscribe("price", self.on_price)
        subject.subscribe("volume", self.on_volume)

    def on_price(self, price):
        if self.visible:
            self.prices.append(price)

    def on_volume(self, volume):
        pass

    def close(self):
        self.visible = False
        self.subject.unsubscribe("volume", self.on_volume)
