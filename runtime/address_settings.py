"""Types of settings that are addresses. Commands check addresses without them: to import Pydantic takes them longer."""

from typing import Annotated

from pydantic import AfterValidator

from runtime.addresses import brokers, http_url
from runtime.clickhouse_address import clickhouse_url

HttpUrlOrNone = Annotated[str, AfterValidator(lambda url: url and http_url(url))]
"""A setting that is an http or https address, or empty."""

Brokers = Annotated[str, AfterValidator(brokers)]
"""A setting that is a list of Kafka brokers: host:port, separated by commas."""

ClickHouseUrl = Annotated[str, AfterValidator(lambda given: http_url(clickhouse_url(given)))]
"""A setting that is the address of ClickHouse; where it is empty, the address is found as `clickhouse_url` says."""
