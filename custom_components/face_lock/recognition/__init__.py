"""From a camera entity to access attempts: pictures, the thread that looks at them, the models."""
