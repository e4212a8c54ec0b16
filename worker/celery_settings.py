"""What Celery and its Redis transport must be told, for workers and for whoever only publishes."""

from typing import Any

from celery import Celery
from kombu import Queue

from tasks.errors import ConfigurationError
from tasks.messages import QUEUES, UPLOADS
from worker.settings import Settings, drop_celery_variables


def celery_settings(settings: Settings) -> dict[str, Any]:
    """Each line says what happens otherwise. Raises `ConfigurationError` without a broker."""
    if settings.broker_url is None:
        raise ConfigurationError("the queue needs STOCKMETA_BROKER_URL, such as redis://localhost:6379/0")
    drop_celery_variables()
    return {
        "broker_url": settings.broker_url.get_secret_value(),
        # Model and decoder are shared by all tasks of a process: a forked child would have neither. And CUDA and thread
        # pools do not survive a fork.
        "worker_pool": "threads",
        "worker_concurrency": settings.concurrency,
        # A message is acknowledged after the commit, so that a killed worker's work is done again. The task
        # puts back what did not end: one that raises is acknowledged, and would lose its images.
        "task_acks_late": True,
        # Fetching ahead would keep messages from idle workers.
        "worker_prefetch_multiplier": 1,
        # The bucket holds the results; result keys in Redis would pile up (celery#7801).
        "task_ignore_result": True,
        # No pickle: whoever can write to Redis could otherwise run code.
        "accept_content": ["json"],
        "task_serializer": "json",
        # A Redis restart would otherwise cancel and repeat what is under way.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        # After an hour without Redis a worker still comes back by itself.
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Celery would redirect prints, and with them the logs of libraries, to its log at WARNING.
        "worker_redirect_stdouts": False,
        "worker_hijack_root_logger": False,
        # Events and remote control are queues and keys that nobody here reads; `stockmeta status` has its own.
        "worker_send_task_events": False,
        "worker_enable_remote_control": False,
        # Queues instead of priorities within one, which starve what is below on Redis.
        "task_queues": [Queue(name, routing_key=name) for name in QUEUES],
        "task_create_missing_queues": True,
        "task_default_queue": UPLOADS,
        "task_default_exchange": UPLOADS,
        "task_default_routing_key": UPLOADS,
        # Publishing fails after this, and whoever publishes waits and tries again, with a word about it.
        "task_publish_retry_policy": {"max_retries": 1, "interval_start": 0.2},
        "broker_transport_options": {
            # At least three times a message's deadline, or long messages are delivered again and again.
            "visibility_timeout": settings.visibility_seconds,
            # Unacknowledged messages of dead workers are looked for every ten seconds instead of about 100.
            "unacked_restore_interval": min(10, settings.visibility_seconds),
            "unacked_restore_throttle": 1,
            # A worker that dies while it looks for them keeps the others from looking for so long: five minutes else.
            "unacked_mutex_expire": 10,
            # A frozen Redis must become an error, not a hang. More than the second that a BRPOP waits.
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            "socket_keepalive": True,
        },
    }


def make_sender(settings: Settings) -> Celery:
    """A Celery application that publishes to the settings' broker, and has no tasks of its own."""
    sender = Celery("stockmeta-sender")
    sender.conf.update(celery_settings(settings))
    return sender
