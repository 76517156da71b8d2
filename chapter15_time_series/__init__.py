"""Chapter 15: time series forecasting, with an autoregressive model and an LSTM."""
