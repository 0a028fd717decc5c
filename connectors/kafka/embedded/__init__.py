"""The embedded Apache Kafka: jars, Java and the broker as a child process."""
