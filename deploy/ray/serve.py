"""The API on Ray Serve:  serve run deploy.ray.serve:app  (needs ``ray[serve]``).

One replica has its own worker processes and its own jobs, as one server has: a job is asked
for where it was made. Several replicas therefore need sessions that stick to one of them, or
one folder each behind a proxy that knows; ``/v1/analyze`` alone may go to any.
"""

from ray import serve

from emofuse.server.app import create_app
from emofuse.server.settings import Settings


@serve.deployment(num_replicas=1, ray_actor_options={"num_cpus": 1})
@serve.ingress(lambda: create_app(Settings()))
class Emofuse:
    """The server's routes, answered by this deployment."""


app = Emofuse.bind()
