"""The steps behind the set-up dialogues; `config_flow.py` is what Home Assistant looks for."""
