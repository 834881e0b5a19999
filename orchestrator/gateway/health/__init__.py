"""Health: how the server is, by HTTP.

health            is it up, do all parts work, what do they count
  troubles        what does not, one line each; webhook_troubles: the endpoints of webhooks
  metrics         what the gateway counts; figures: the other processes
"""
