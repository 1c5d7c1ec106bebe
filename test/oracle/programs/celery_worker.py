"""A Celery application whose tasks run at once, with chains, groups, retries and failures."""
import celery
import observe

app = celery.Celery("tasks", broker="memory://", backend="cache+memory://")
app.conf.task_always_eager = True
app.conf.task_store_eager_result = True
RESULTS = []


@app.task
def add(a, b):
    return a + b


@app.task(bind=True, max_retries=2)
def fails(self, n):
    if n % 3 == 0:
        raise ValueError(n)
    return n


for i in range(100):
    RESULTS.append(add.delay(i, i))
    RESULTS.append(fails.apply(args=(i,)))
    RESULTS.append(celery.chain(add.s(i, 1), add.s(2)).apply())
RESULTS.append(celery.group(add.s(i, i) for i in range(20)).apply())
connection = app.connection_for_write()
connection.connect()
observe.barrier()
