import net from 'node:net';
import tls from 'node:tls';

/** Opens a TCP connection to one of the addresses. */
export type Connect = (addresses: readonly string[], port: number) => net.Socket;

/** The resolver's part is played by what was checked, so that Node looks up nothing by itself. */
export const connectPinned: Connect = (addresses, port) => {
  const list = addresses.map((address) => ({ address, family: net.isIP(address) }));
  const lookup: net.LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, list);
    else callback(null, (list[0] as { address: string }).address, net.isIP(addresses[0] as string));
  };
  return net.connect({ host: 'pinned.invalid', port, lookup, autoSelectFamily: true, noDelay: true });
};

/** What certificates are held against. */
export type Trust = () => tls.SecureContext | undefined;

/** The system's authorities and these (PEM). Made once: reading them takes 14 ms of the main thread. Node has read the system's. */
export function openTrust(ca: readonly string[]): Trust {
  let made: tls.SecureContext | undefined;
  return () =>
    ca.length === 0
      ? undefined
      : (made ??= tls.createSecureContext({ ca: [...tls.getCACertificates('default'), ...ca] }));
}

/** TLS over a connection. */
export const secured = (
  socket: net.Socket,
  host: string,
  alpn: readonly string[] | undefined,
  trust: Trust,
): tls.TLSSocket =>
  tls.connect({
    secureContext: trust(),
    socket,
    host,
    // An address cannot be asked for by name; the certificate is still checked against it.
    servername: net.isIP(host) ? '' : host,
    ...(alpn && { ALPNProtocols: [...alpn] }),
    // Said outright, since an environment variable could turn it off.
    rejectUnauthorized: true,
  });
