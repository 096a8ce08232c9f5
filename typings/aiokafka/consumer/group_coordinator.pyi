from aiokafka.errors import KafkaError

class GroupCoordinator:
    _pending_exception: KafkaError | None
    _group_subscription: set[str] | None
