"""Two ordinary programs for the same job, as their frameworks' own pages teach it: FastAPI, pydantic, a task queue.

They run in `.venv-bench` and import nothing of ours. Like the gateway they check Meta's signature and keep what they
take in the same Redis; unlike it they neither recognise redeliveries nor survive a worker's death without loss.
"""
