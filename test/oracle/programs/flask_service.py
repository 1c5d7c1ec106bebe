"""A Flask service that has answered requests, sessions and errors among them."""
import threading
import time

import flask
import observe

app = flask.Flask("service")
app.secret_key = "secret"
STORE = {}


@app.route("/items/<int:n>", methods=["GET", "POST"])
def item(n):
    flask.session["last"] = n
    if flask.request.method == "POST":
        STORE[n] = flask.request.get_json()
    if n % 7 == 0:
        flask.abort(404)
    return flask.jsonify(STORE.get(n, {"n": n, "time": time.time()}))


@app.template_filter("twice")
def twice(v):
    return v * 2


@app.route("/page")
def page():
    return flask.render_template_string("{% for i in items %}<p>{{ i|twice }}</p>{% endfor %}", items=range(20))


def serve(n):
    client = app.test_client()
    for i in range(n):
        client.post("/items/%d" % i, json={"name": "n%d" % i, "values": [i, i + 1]})
        client.get("/items/%d" % i)
        client.get("/page")


threads = [threading.Thread(target=serve, args=(30,)) for _ in range(3)]
for t in threads:
    t.start()
for t in threads:
    t.join()
serve(50)
observe.barrier()
