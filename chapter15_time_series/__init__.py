"""Chapter 15: time series forecasting, with an autoregressive model, an LSTM and DLinear."""
