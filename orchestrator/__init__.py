"""The server that puts it together: CLI, settings, cluster (the only home of `import ray`), gateway, client SDK."""
